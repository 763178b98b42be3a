"""Resolvers for entities, teams and organizations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ariadne import MutationType, ObjectType, QueryType

from wandb_devserver._domain.limits import check_entity
from wandb_devserver._graphql import viewer
from wandb_devserver._graphql.context import encode_id
from wandb_devserver._storage import organizations as organization_table
from wandb_devserver._storage import users as user_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._json import JsonObject

query = QueryType()
mutation = MutationType()
entity_type = ObjectType("Entity")


@dataclass(frozen=True, slots=True)
class Entity:
    """A user, a team or the entity of an organization; any name is one."""

    name: str


@dataclass(frozen=True, slots=True)
class Organization:
    id: str
    name: str

    @property
    def org_entity(self) -> Entity:
        return Entity(self.name)

    @property
    def feature_flags(self) -> list[JsonObject]:
        """None: W&B removes a flag once its feature is on for everybody."""
        return []


@query.field("entity")
def resolve_entity(_: object, __: Info, *, name: str | None = None) -> Entity | None:
    return Entity(name) if name else None


@query.field("organization")
def resolve_organization(_: object, info: Info, *, name: str) -> Organization | None:
    return next((found for found in _organizations(info.context) if found.name == name), None)


@mutation.field("createTeam")
def create_team(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Entity]:  # noqa: A002
    team = organization_table.add_team(info.context.connection, check_entity(input["team_name"]))
    return {"entity": Entity(team.name)}


@entity_type.field("id")
def resolve_id(entity: Entity, info: Info) -> str:
    team = organization_table.find_team(info.context.connection, entity.name)
    return encode_id("Entity", team.id) if team else f"entity:{entity.name}"


@entity_type.field("organization")
def resolve_organization_of(entity: Entity, info: Info) -> Organization | None:
    """The organization of a team or of an organization's own entity; a user may be in several."""
    found = _organizations(info.context)
    if entity.name in (item.name for item in found):
        return Organization(f"organization:{entity.name}", entity.name)
    team = organization_table.find_team(info.context.connection, entity.name)
    if team and team.organization_id is not None:
        return next(item for item in found if item.id == encode_id("Organization", team.organization_id))
    return _user_organization(info.context) if len(found) == 1 else None


@entity_type.field("user")
def resolve_user(entity: Entity, info: Info) -> dict[str, Any] | None:
    if entity.name == info.context.backend.entity:
        return {**viewer.owner(info.context), "organizations": _organizations(info.context)}
    stored = user_table.find(info.context.connection, entity.name)
    return {**viewer.user(stored), "organizations": []} if stored else None


@entity_type.field("isTeam")
def resolve_is_team(entity: Entity, info: Info) -> bool:
    context = info.context
    return entity.name != context.backend.entity and user_table.find(context.connection, entity.name) is None


@entity_type.field("entityType")
def resolve_type(entity: Entity, info: Info) -> str:
    if entity.name in (item.name for item in _organizations(info.context)):
        return "organization"
    return "team" if resolve_is_team(entity, info) else "user"


@entity_type.field("available")
@entity_type.field("readOnly")
@entity_type.field("readOnlyAdmin")
@entity_type.field("privateOnly")
def resolve_false(_: Entity, __: Info) -> bool:
    return False


@entity_type.field("codeSavingEnabled")
@entity_type.field("isPaid")
@entity_type.field("xxhashDigestsEnabled")
def resolve_true(_: Entity, __: Info) -> bool:
    return True


@entity_type.field("defaultAccess")
def resolve_access(_: Entity, __: Info) -> str:
    return "PRIVATE"


@entity_type.field("storageBytes")
def resolve_storage(_: Entity, __: Info) -> int:
    return 0


@entity_type.field("members")
def resolve_members(entity: Entity, info: Info) -> list[JsonObject]:
    account_type = "MEMBER" if resolve_is_team(entity, info) else "USER"
    return [{**viewer.owner(info.context), "role": "admin", "pending": False, "account_type": account_type}]


def _organizations(context: Context) -> list[Organization]:
    stored = organization_table.all_of(context.connection)
    if stored:
        return [Organization(encode_id("Organization", found.id), found.name) for found in stored]
    return [_user_organization(context)]


def _user_organization(context: Context) -> Organization:
    stored = organization_table.all_of(context.connection)
    if stored:
        return Organization(encode_id("Organization", stored[0].id), stored[0].name)
    return Organization(encode_id("Organization", 0), f"{context.backend.entity}-org")


BINDABLES = (query, mutation, entity_type)
