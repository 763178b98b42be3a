"""Resolvers for projects and the runs in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType, ObjectType, QueryType

from wandb_devserver._domain.limits import check_project, check_registry_type
from wandb_devserver._graphql import viewer
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.filters import parse_filters
from wandb_devserver._graphql.organizations import Entity
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage.order import parse_order

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.projects import StoredProject
    from wandb_devserver._storage.runs import StoredRun

query = QueryType()
mutation = MutationType()
project_type = ObjectType("Project")
project_type.set_alias("updatedAt", "created_at")
project_type.set_alias("allowAllArtifactTypesInRegistry", "allows_all_types")

_DEFAULT_PAGE = 50


@query.field("project")
@query.field("model")
def resolve_project(
    _: object, info: Info, *, name: str | None = None, entity_name: str | None = None
) -> StoredProject | None:
    return info.context.project(entity_name, name)


@query.field("models")
def resolve_projects(
    _: object,
    info: Info,
    *,
    entity_name: str | None = None,
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    context = info.context
    limit = _DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("Project", after) if after else 0
    entity = entity_name or context.default_entity
    found = project_table.page(context.connection, entity, after=start, limit=limit + 1)
    return connection([(project, encode_id("Project", project.id)) for project in found], limit)


@mutation.field("upsertModel")
def upsert_project(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    entity, name = input.get("entity_name") or context.default_entity, check_project(input.get("name") or "")
    inserted = project_table.find(context.connection, entity, name) is None
    project = project_table.find_or_create(context.connection, entity, name)
    project_table.edit(
        context.connection,
        project,
        description=input.get("description"),
        access=input.get("access"),
        allows_all_types=input.get("allow_all_artifact_types_in_registry"),
    )
    for kind in input.get("artifact_types") or []:
        collection_table.find_or_create_type(context.connection, project.id, check_registry_type(kind["name"]))
    stored = project_table.find(context.connection, entity, name)
    return {"project": stored, "model": stored, "inserted": inserted}


@project_type.field("id")
def resolve_id(project: StoredProject, _: Info) -> str:
    return encode_id("Project", project.id)


@project_type.field("internalId")
def resolve_internal_id(project: StoredProject, _: Info) -> str:
    return str(project.id)


@project_type.field("entityName")
def resolve_entity_name(project: StoredProject, _: Info) -> str:
    return project.entity


@project_type.field("entity")
def resolve_entity(project: StoredProject, _: Info) -> Entity:
    return Entity(project.entity)


@project_type.field("allViews")
def resolve_views(_: StoredProject, __: Info, **___: object) -> dict[str, Any]:
    # The server stores no reports.
    return connection([], 0)


@project_type.field("isBenchmark")
@project_type.field("readOnly")
def resolve_false(_: StoredProject, __: Info) -> bool:
    return False


@project_type.field("user")
def resolve_user(_: StoredProject, info: Info) -> dict[str, Any]:
    return viewer.owner(info.context)


@project_type.field("run")
def resolve_run(
    project: StoredProject,
    info: Info,
    *,
    name: str,
    desc: str | None = None,  # noqa: ARG001 - `wandb verify` tests the size of requests with it
) -> StoredRun | None:
    return run_table.find(info.context.connection, project.id, name)


@project_type.field("bucket")
def resolve_bucket(
    project: StoredProject,
    info: Info,
    *,
    name: str,
    missing_ok: bool | None = None,
    desc: str | None = None,  # noqa: ARG001 - older SDKs send it when they upload files
) -> StoredRun | None:
    run = run_table.find(info.context.connection, project.id, name)
    return run if missing_ok or run else info.context.run(project.entity, project.name, name)


@project_type.field("runCount")
def resolve_run_count(project: StoredProject, info: Info, *, filters: str | None = None) -> int:
    return run_table.count(info.context.connection, project.id, parse_filters(filters))


@project_type.field("runs")
@project_type.field("buckets")
def resolve_runs(
    project: StoredProject,
    info: Info,
    *,
    filters: str | None = None,
    after: str | None = None,
    first: int | None = None,
    order: str | None = None,
) -> dict[str, Any]:
    limit = _DEFAULT_PAGE if first is None else max(first, 0)
    found = run_table.page(
        info.context.connection,
        project.id,
        matches=parse_filters(filters),
        order=parse_order(order),
        after=after,
        limit=limit + 1,
    )
    return connection(found, limit)


def connection(found: list[tuple[Any, str]], limit: int) -> dict[str, Any]:
    """Return one page of nodes and their cursors; one node more than `limit` means that there are more."""
    page = found[:limit]
    return {
        "edges": [{"node": node, "cursor": cursor} for node, cursor in page],
        "page_info": {"end_cursor": page[-1][1] if page else None, "has_next_page": len(found) > limit},
    }


BINDABLES = (query, mutation, project_type)
