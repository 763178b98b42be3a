"""Deletion of runs and projects with everything that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_devserver._graphql.artifacts import remove
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import files as file_table
from wandb_devserver._storage import history_exports as export_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context
    from wandb_devserver._storage.projects import StoredProject
    from wandb_devserver._storage.runs import StoredRun


def remove_run(context: Context, run: StoredRun, *, with_artifacts: bool) -> None:
    """Delete a run, its files and exports, and the artifacts that it created if `with_artifacts`."""
    context.unused_blobs += [file.blob for file in file_table.page(context.connection, run.id)]
    context.unused_blobs += [export.blob for export in export_table.of_run(context.connection, run.id)]
    if with_artifacts:
        remove(context, artifact_table.created_by(context.connection, run.id))
    run_table.delete(context.connection, run)


def remove_project(context: Context, project: StoredProject) -> None:
    """Delete a project, its runs and its artifacts."""
    for collection in collection_table.page(context.connection, [project.id]):
        if collection.kind == collection_table.SEQUENCE:
            remove(context, artifact_table.all_in(context.connection, collection.id))
        collection_table.delete(context.connection, collection)
    for run, _ in run_table.page(context.connection, project.id, limit=-1):
        remove_run(context, run, with_artifacts=False)
    project_table.delete(context.connection, project)
