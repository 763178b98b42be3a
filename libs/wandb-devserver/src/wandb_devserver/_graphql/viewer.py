"""Resolvers for the current user and the capabilities of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType, QueryType

from wandb_devserver._errors import UsageError
from wandb_devserver._json import Json, JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb_devserver._graphql.context import Info

query = QueryType()
mutation = MutationType()

# Each switches the SDK to a request that older servers do not know.
FEATURES: tuple[str, ...] = (
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "ARTIFACT_REGISTRY_SEARCH",
    "ARTIFACT_TAGS",
    "FILESTREAM_GZIP",
    "INCLUDE_ARTIFACT_TYPES_IN_REGISTRY_CREATION",
    "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
    "SWEEPS_QUERY_FILTERING",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "UPDATE_RUN_STATE",
)
# The server does not limit the versions of the SDK.
_CLI_VERSIONS: JsonObject = {"min_cli_version": "0.0.1", "max_cli_version": "999.0.0"}
_UNSUPPORTED = {
    "createCustomChart": "custom chart presets",
    "createInvite": "other users",
    "createServiceAccount": "service accounts",
    "createUser": "other users",
    "deleteApiKey": "several API keys",
    "deleteInvite": "other users",
    "enqueueSweepRun": "sweep run queues",
    "generateApiKey": "several API keys",
}


def user(entity: str) -> JsonObject:
    """Return the only user of the server."""
    return {
        "id": "VXNlcjox",
        "name": entity,
        "username": entity,
        "email": f"{entity}@localhost",
        "admin": True,
        "flags": "{}",
        "entity": entity,
        "deleted_at": None,
        "photo_url": None,
        # The key itself is never part of a response.
        "api_keys": {"edges": [{"node": {"id": "QXBpS2V5OjE=", "name": "wandb-devserver", "description": None}}]},
        "teams": {"edges": [{"node": {"name": entity}}]},
    }


@query.field("viewer")
def resolve_viewer(_: object, info: Info) -> JsonObject:
    return user(info.context.backend.entity)


@query.field("users")
def resolve_users(_: object, info: Info, *, query: str | None = None) -> dict[str, Any]:
    found = user(info.context.backend.entity)
    matches = query in (None, found["username"], found["email"])
    return {"edges": [{"node": found}] if matches else []}


@query.field("serverInfo")
def resolve_server_info(_: object, __: Info) -> JsonObject:
    features: list[Json] = [{"name": name, "is_enabled": True} for name in FEATURES]
    return {"features": features, "cli_version_info": _CLI_VERSIONS, "latest_local_version_info": None}


def _refusal(name: str, subject: str) -> Callable[..., None]:
    def refuse(_: object, __: Info, **___: object) -> None:
        msg = f"{name}: wandb-devserver does not support {subject}"
        raise UsageError(msg)

    return refuse


for _name, _subject in _UNSUPPORTED.items():
    mutation.set_field(_name, _refusal(_name, _subject))

BINDABLES = (query, mutation)
