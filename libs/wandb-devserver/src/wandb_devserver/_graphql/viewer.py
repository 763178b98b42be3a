"""Resolvers for the current user, entities and the capabilities of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ariadne import QueryType

from wandb_devserver._json import Json, JsonObject

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
query = QueryType()

# Each switches the SDK to another request for the same thing; this one lets it count the files of an artifact.
FEATURES: tuple[str, ...] = ("TOTAL_COUNT_IN_FILE_CONNECTION",)


def user(entity: str) -> JsonObject:
    return {
        "id": "VXNlcjox",
        "name": entity,
        "username": entity,
        "email": None,
        "admin": False,
        "flags": "{}",
        "entity": entity,
        "deleted_at": None,
        "api_keys": {"edges": []},
        "teams": {"edges": []},
    }


@query.field("viewer")
def resolve_viewer(_: object, info: Info) -> JsonObject:
    return user(info.context.backend.entity)


@query.field("entity")
def resolve_entity(_: object, __: Info, *, name: str) -> JsonObject:
    return entity(name)


def entity(name: str) -> JsonObject:
    return {"id": f"entity:{name}", "name": name, "organization": None}


@query.field("serverInfo")
def resolve_server_info(_: object, __: Info) -> JsonObject:
    features: list[Json] = [{"name": name, "is_enabled": True} for name in FEATURES]
    return {"features": features}


BINDABLES = (query,)
