"""The shapes of W&B's responses about sweeps; `wandb_artifacts.client.read_response` checks a response against one.

A field that may be null may also be missing. Fields that are not named here are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1)]


class _Shape(Struct, rename="camel", frozen=True):
    pass


class Entity(_Shape, frozen=True):
    name: Name


class Project(_Shape, frozen=True):
    name: Name
    entity: Entity


class Sweep(_Shape, frozen=True):
    id: Name
    """The storage id."""
    name: Name
    """The id."""
    state: str
    description: str | None = None
    config: str | None = None
    """YAML."""
    created_at: str | None = None


class OfProject(_Shape, frozen=True):
    sweep: Sweep | None = None


class FoundSweep(_Shape, frozen=True):
    project: OfProject | None = None


class ChangedSweep(_Shape, frozen=True):
    id: Name
    name: Name
    project: Project


class Upsert(_Shape, frozen=True):
    sweep: ChangedSweep
    config_validation_warnings: list[str] | None = None


class UpsertedSweep(_Shape, frozen=True):
    upsert_sweep: Upsert


class Agent(_Shape, frozen=True):
    id: Name


class OfAgent(_Shape, frozen=True):
    agent: Agent


class CreatedAgent(_Shape, frozen=True):
    create_agent: OfAgent


class AssignedRun(_Shape, frozen=True):
    name: Name


class RunEdge(_Shape, frozen=True):
    node: AssignedRun


class AssignedRuns(_Shape, frozen=True):
    edges: list[RunEdge]


class ListedAgent(_Shape, frozen=True):
    host: str
    runs: AssignedRuns


class AgentEdge(_Shape, frozen=True):
    node: ListedAgent


class ListedAgents(_Shape, frozen=True):
    edges: list[AgentEdge]


class SweepOfAgents(_Shape, frozen=True):
    agents: ListedAgents


class ProjectOfAgents(_Shape, frozen=True):
    sweep: SweepOfAgents


class FoundAgents(_Shape, frozen=True):
    project: ProjectOfAgents


class Commands(_Shape, frozen=True):
    commands: str | None = None
    """JSON: a list of `Command`."""


class Heartbeat(_Shape, frozen=True):
    agent_heartbeat: Commands


class TrialRun(_Shape, frozen=True):
    name: Name
    display_name: str | None = None
    state: str | None = None
    config: str | None = None
    summary_metrics: str | None = None


class Command(Struct, frozen=True):
    """A command to an agent, with W&B's own keys. Unknown types are ignored."""

    type: Name
    """`run`, `resume`, `stop` or `exit`."""
    run_id: str | None = None
    args: dict[str, dict[str, Any]] | None = None
    """The parameters of a trial, each as `{"value": ...}`."""

    @property
    def starts_trial(self) -> bool:
        return self.type in ("run", "resume")
