"""Resolvers for registries: projects of an organization, whose collections hold links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType, ObjectType

from wandb_devserver._domain.limits import check_project
from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._graphql import viewer
from wandb_devserver._graphql.collections import page_of_collections
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.filters import COLLECTION_FIELDS, PROJECT_FIELDS, parse_filters
from wandb_devserver._graphql.memberships import page_after, versions_of
from wandb_devserver._graphql.organizations import Entity
from wandb_devserver._graphql.projects import connection
from wandb_devserver._graphql.removal import remove_project
from wandb_devserver._graphql.sorting import sort
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import memberships as membership_table
from wandb_devserver._storage import organizations as organization_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import users as user_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._storage.organizations import TeamMember
    from wandb_devserver._storage.projects import StoredProject

mutation = MutationType()
entity_type = ObjectType("Entity")
project_type = ObjectType("Project")
member_type = ObjectType("ProjectTeamMember")

_DEFAULT_PAGE = 50
_ROLES = ("admin", "member", "viewer", "restricted_viewer")
_ORDERS = {
    "name": lambda project: project.name,
    "created_at": lambda project: project.created_at,
    "updated_at": lambda project: project.created_at,
}


@entity_type.field("project")
def resolve_project(entity: Entity, info: Info, *, name: str | None = None) -> StoredProject | None:
    return project_table.find(info.context.connection, entity.name, name) if name else None


@entity_type.field("projects")
def resolve_projects(
    entity: Entity,
    info: Info,
    *,
    filters: str | None = None,
    after: str | None = None,
    first: int | None = None,
    order: str | None = None,
) -> dict[str, Any]:
    limit = _DEFAULT_PAGE if first is None else max(first, 0)
    found = sort(_projects(info.context, entity, filters), order, _ORDERS)
    ids = [project.id for project in found]
    start = ids.index(last) + 1 if after and (last := decode_id("Project", after)) in ids else 0
    return connection([(item, encode_id("Project", item.id)) for item in found[start : start + limit + 1]], limit)


@entity_type.field("artifactCollections")
def resolve_collections(
    entity: Entity,
    info: Info,
    *,
    project_filters: str | None = None,
    collection_types: list[str] | None = None,
    after: str | None = None,
    first: int | None = None,
    **sorting: str | None,
) -> dict[str, Any]:
    projects = _projects(info.context, entity, project_filters)
    found = collection_table.page(info.context.connection, [project.id for project in projects])
    kinds = collection_types or [collection_table.SEQUENCE, collection_table.PORTFOLIO]
    return page_of_collections(info, [item for item in found if item.kind in kinds], after, first, sorting)


@entity_type.field("artifactMemberships")
def resolve_memberships(
    entity: Entity,
    info: Info,
    *,
    project_filters: str | None = None,
    collection_filters: str | None = None,
    filters: str | None = None,
    after: str | None = None,
    first: int | None = None,
    order: str | None = None,
) -> dict[str, Any]:
    database = info.context.connection
    projects = _projects(info.context, entity, project_filters)
    matches = parse_filters(collection_filters, COLLECTION_FIELDS)
    collections = collection_table.page(database, [project.id for project in projects])
    found = [
        membership
        for collection in collections
        if matches is None or matches(collection)
        for membership in membership_table.page(database, collection.id, newest_first=False)
    ]
    page = page_after(
        versions_of(info, found, filters, order or "created_at"), "ArtifactCollectionMembership", after, first
    )
    for edge in page["edges"]:
        edge["node"] = edge["node"][0]
    return page


@mutation.field("renameProject")
def rename_project(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    database, entity = info.context.connection, input["entity_name"]
    project = project_table.find(database, entity, input["old_project_name"])
    if project is None:
        msg = f"project '{entity}/{input['old_project_name']}' does not exist"
        raise NotFoundError(msg)
    name = check_project(input["new_project_name"])
    if project_table.find(database, entity, name):
        msg = f"project '{entity}/{name}' exists already: use another name"
        raise UsageError(msg)
    project_table.rename(database, project, name)
    return {"project": project_table.find_by_id(database, project.id), "inserted": False}


@mutation.field("deleteModel")
def delete_project(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    remove_project(info.context, _project_by_id(info.context, input["id"]))
    return {"success": True}


@project_type.field("members")
def resolve_members(project: StoredProject, info: Info) -> list[dict[str, Any]]:
    """The owner of the server, who administrates all registries, and the users that were added."""
    found = user_table.members(info.context.connection, project.id)
    others = [{**viewer.user(user), "role": {"name": role}} for user, role in found]
    return [{**viewer.owner(info.context), "role": {"name": "admin"}}, *others]


@project_type.field("teamMembers")
def resolve_team_members(project: StoredProject, info: Info) -> list[TeamMember]:
    return organization_table.members(info.context.connection, project.id)


@member_type.field("team")
def resolve_team(member: TeamMember, _: Info) -> Entity:
    return Entity(member.team.name)


@member_type.field("role")
def resolve_role(member: TeamMember, _: Info) -> dict[str, str]:
    return {"name": member.role}


@mutation.field("createProjectMembers")
def add_members(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    context, project = info.context, _project_by_id(info.context, input["project_id"])
    for user_id in _other_users(context, input.get("user_ids") or []):
        user_table.set_member(context.connection, project.id, user_id, None)
    for node_id in input.get("team_ids") or []:
        organization_table.set_member(context.connection, project.id, _team_id(context, node_id), None)
    return {"success": True}


@mutation.field("deleteProjectMembers")
def remove_members(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    context, project = info.context, _project_by_id(info.context, input["project_id"])
    user_ids = input.get("user_ids") or []
    if encode_id("User", viewer.OWNER_NUMBER) in user_ids:
        msg = "cannot remove the owner of the server from a registry: it administrates all of them"
        raise UsageError(msg)
    for user_id in _other_users(context, user_ids):
        user_table.remove_member(context.connection, project.id, user_id)
    for node_id in input.get("team_ids") or []:
        organization_table.remove_member(context.connection, project.id, _team_id(context, node_id))
    return {"success": True}


@mutation.field("updateProjectMember")
def update_member(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    context, project = info.context, _project_by_id(info.context, input["project_id"])
    role = _check_role(input["user_project_role"])
    others = _other_users(context, [input["user_id"]])
    if not others and role != "admin":
        msg = "cannot change the role of the owner of the server: it administrates all registries"
        raise UsageError(msg)
    for user_id in others:
        user_table.set_member(context.connection, project.id, user_id, role)
    return {"success": True}


@mutation.field("updateProjectTeamMember")
def update_team_member(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    context, project = info.context, _project_by_id(info.context, input["project_id"])
    role = _check_role(input["team_project_role"])
    organization_table.set_member(context.connection, project.id, _team_id(context, input["team_id"]), role)
    return {"success": True}


def _projects(context: Context, entity: Entity, filters: str | None) -> list[StoredProject]:
    matches = parse_filters(filters, PROJECT_FIELDS)
    return [item for item in project_table.page(context.connection, entity.name) if matches is None or matches(item)]


def _project_by_id(context: Context, node_id: str) -> StoredProject:
    project = project_table.find_by_id(context.connection, decode_id("Project", node_id))
    if project is None:
        msg = f"project {node_id!r} does not exist"
        raise NotFoundError(msg)
    return project


def _team_id(context: Context, node_id: str) -> int:
    team = organization_table.find_team_by_id(context.connection, decode_id("Entity", node_id))
    if team is None:
        msg = f"team {node_id!r} does not exist"
        raise NotFoundError(msg)
    return team.id


def _other_users(context: Context, node_ids: list[str]) -> list[int]:
    """Return the users beside the owner, who is a member of every registry.

    Raises:
        NotFoundError: if one does not exist.
    """
    numbers = [number for node_id in node_ids if (number := decode_id("User", node_id)) != viewer.OWNER_NUMBER]
    for number in numbers:
        if user_table.find_by_id(context.connection, number) is None:
            msg = f"user {encode_id('User', number)!r} does not exist"
            raise NotFoundError(msg)
    return numbers


def _check_role(role: str) -> str:
    if role not in _ROLES:
        msg = f"invalid role {role!r}: use one of {', '.join(_ROLES)}"
        raise UsageError(msg)
    return role


BINDABLES = (mutation, entity_type, project_type, member_type)
