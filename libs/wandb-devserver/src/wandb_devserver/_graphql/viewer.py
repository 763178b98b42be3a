"""Resolvers for users and the capabilities of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType, QueryType

from wandb_devserver._domain.limits import check_entity
from wandb_devserver._errors import UsageError
from wandb_devserver._graphql.context import UnsupportedError, encode_id
from wandb_devserver._json import Json, JsonObject
from wandb_devserver._storage import organizations as organization_table
from wandb_devserver._storage import users as user_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._storage.users import StoredUser

query = QueryType()
mutation = MutationType()

# Each switches the SDK to a request that older servers do not know.
FEATURES: tuple[str, ...] = (
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
    "ARTIFACT_DIGEST_ALGORITHM",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "ARTIFACT_REGISTRY_SEARCH",
    "ARTIFACT_TAGS",
    "FILESTREAM_GZIP",
    "INCLUDE_ARTIFACT_TYPES_IN_REGISTRY_CREATION",
    "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
    "STRUCTURED_CONSOLE_LOGS",
    "SWEEPS_QUERY_FILTERING",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "UPDATE_RUN_STATE",
)
# The numbers of the other users begin at 1.
OWNER_NUMBER = 0
_KEY_NAME_LENGTH = 5
# The server does not limit the versions of the SDK.
_CLI_VERSIONS: JsonObject = {"min_cli_version": "0.0.1", "max_cli_version": "999.0.0"}
_UNSUPPORTED = {
    "createCustomChart": "custom chart presets",
    "createInvite": "invitations",
    "createServiceAccount": "service accounts",
    "deleteApiKey": "several API keys",
    "deleteInvite": "invitations",
    "enqueueSweepRun": "sweep run queues",
    "generateApiKey": "several API keys",
}


def owner(context: Context) -> dict[str, Any]:
    """Return the user whose API key the server accepts. What takes a query of the database is found when requested."""
    entity = context.backend.entity
    # As in W&B: enough of the key to recognize it. The whole key is never part of a response.
    key_name = context.backend.api_key[:_KEY_NAME_LENGTH]
    return {
        **_fields(OWNER_NUMBER, entity, f"{entity}@localhost", admin=False),
        "entity": lambda _: context.default_entity,
        "api_keys": {"edges": [{"node": {"id": encode_id("ApiKey", 1), "name": key_name, "description": None}}]},
        "teams": lambda _: {"edges": [{"node": {"name": name}} for name in _entities(context)]},
    }


def user(stored: StoredUser) -> JsonObject:
    """Return a user beside the owner."""
    return {
        **_fields(stored.id, stored.name, stored.email, admin=stored.admin),
        "entity": stored.name,
        "api_keys": {"edges": []},
        "teams": {"edges": [{"node": {"name": stored.name}}]},
    }


def _fields(number: int, name: str, email: str, *, admin: bool) -> JsonObject:
    return {
        "id": encode_id("User", number),
        "name": name,
        "username": name,
        "email": email,
        "admin": admin,
        "flags": "{}",
        "deleted_at": None,
        "photo_url": None,
    }


def _entities(context: Context) -> list[str]:
    """Return the owner's entity, and the teams that it is in."""
    return [context.backend.entity, *(team.name for team in organization_table.all_teams(context.connection))]


@query.field("viewer")
def resolve_viewer(_: object, info: Info) -> dict[str, Any]:
    return owner(info.context)


@query.field("users")
def resolve_users(_: object, info: Info, *, query: str | None = None) -> dict[str, Any]:
    """Users whose name or email contains the query; one that it names exactly comes first."""
    known = [owner(info.context), *map(user, user_table.all_of(info.context.connection))]
    found = [item for item in known if not query or any(query in text for text in _names(item))]
    found.sort(key=lambda item: query not in _names(item))
    return {"edges": [{"node": item} for item in found]}


def _names(item: dict[str, Any]) -> tuple[str, str]:
    return str(item["username"]), str(item["email"])


@mutation.field("updateUser")
def update_user(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    if entity := input.get("default_entity"):
        if entity not in _entities(info.context):
            msg = f"invalid default entity {entity!r}: use one of {', '.join(_entities(info.context))}"
            raise UsageError(msg)
        user_table.set_default_entity(info.context.connection, entity)
    return {"user": owner(info.context)}


@mutation.field("createUser")
def create_user(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, JsonObject]:  # noqa: A002
    email = input.get("email") or ""
    name = check_entity(email.partition("@")[0])
    if email == owner(info.context)["email"]:
        msg = f"invalid email {email!r}: use the email of a new user"
        raise UsageError(msg)
    stored = user_table.add(info.context.connection, name, email, admin=bool(input.get("admin")))
    return {"user": user(stored)}


@query.field("serverInfo")
def resolve_server_info(_: object, __: Info) -> JsonObject:
    features: list[Json] = [{"name": name, "is_enabled": True} for name in FEATURES]
    return {"features": features, "cli_version_info": _CLI_VERSIONS, "latest_local_version_info": None}


def _refusal(name: str, subject: str) -> Callable[..., None]:
    def refuse(_: object, __: Info, **___: object) -> None:
        msg = f"{name}: wandb-devserver does not support {subject}"
        raise UnsupportedError(msg)

    return refuse


for _name, _subject in _UNSUPPORTED.items():
    mutation.set_field(_name, _refusal(_name, _subject))

BINDABLES = (query, mutation)
