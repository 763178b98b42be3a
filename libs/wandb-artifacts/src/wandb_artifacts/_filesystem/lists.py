"""The names of an entity's projects and of a project's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from wandb_artifacts._destination.safe_names import safe_path
from wandb_artifacts._client.http import error_of

if TYPE_CHECKING:
    from wandb_artifacts._client.api import Api

_PAGE = 500

_PROJECTS = """
query GetProjects($entity: String!, $cursor: String, $perPage: Int!) {
  models(entityName: $entity, after: $cursor, first: $perPage) {
    edges { node { name } cursor }
    pageInfo { hasNextPage }
  }
}
"""

_RUNS = """
query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int!) {
  project(name: $project, entityName: $entity) {
    runs(after: $cursor, first: $perPage, order: "+created_at") {
      edges { node { name } cursor }
      pageInfo { hasNextPage }
    }
  }
}
"""


async def list_projects(api: Api, entity: str, *, most: int | None = None) -> list[str]:
    """The projects of an entity: all, or so many."""
    what = f"the projects of {entity}"
    return await _names(api, _PROJECTS, ("models",), what, {"entity": entity}, most)


async def list_runs(api: Api, entity: str, project: str, *, most: int | None = None) -> list[str]:
    """The ids of a project's runs: all, or so many."""
    what = f"the runs of {entity}/{project}"
    return await _names(api, _RUNS, ("project", "runs"), what, {"entity": entity, "project": project}, most)


async def _names(
    api: Api, document: str, fields: tuple[str, ...], what: str, variables: dict[str, str], most: int | None
) -> list[str]:
    names: dict[str, None] = {}
    cursor = None
    while True:
        found: Any = await api.ask(document, what, {**variables, "cursor": cursor, "perPage": most or _PAGE})
        for field in fields:
            found = found.get(field)
            if not isinstance(found, dict):
                raise error_of(404, what)
        edges = found["edges"]
        names.update((edge["node"]["name"], None) for edge in edges)
        following = edges[-1]["cursor"] if edges and found["pageInfo"]["hasNextPage"] else None
        if most or following in (None, cursor):
            return list(names)
        cursor = following


def shown_part(name: str) -> str:
    """A name of W&B as one part of a path: where it would mean something else there, percent-encoded."""
    if "/" not in name and safe_path(name) == name:
        return name
    return quote(name, safe="").replace(".", "%2E")


def hidden_part(part: str) -> str:
    """The name behind what `shown_part` returned."""
    return unquote(part)
