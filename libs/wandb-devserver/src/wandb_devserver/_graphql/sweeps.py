"""Resolvers for the fields of sweeps and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import ObjectType

from wandb_devserver._domain import results as sweep_results
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.filters import SWEEP_FIELDS, parse_filters
from wandb_devserver._graphql.projects import connection, project_type
from wandb_devserver._graphql.runs import run_type
from wandb_devserver._search.config import parse_config
from wandb_devserver._search.points import grid_size
from wandb_devserver._storage import agents as agent_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import sweeps as sweep_table
from wandb_devserver._storage import trials as trial_table
from wandb_devserver._storage.order import parse_order

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.agents import StoredAgent
    from wandb_devserver._storage.projects import StoredProject
    from wandb_devserver._storage.runs import StoredRun
    from wandb_devserver._storage.sweeps import StoredSweep

sweep_type = ObjectType("Sweep")
agent_type = ObjectType("Agent")

_DEFAULT_PAGE = 50

run_type.set_alias("exitcode", "exit_code")
agent_type.set_alias("totalRuns", "trial_count")


@project_type.field("totalSweeps")
def resolve_total_sweeps(project: StoredProject, info: Info) -> int:
    return sweep_table.count(info.context.connection, project.id)


@project_type.field("sweep")
def resolve_sweep(project: StoredProject, info: Info, *, sweep_name: str) -> StoredSweep | None:
    return sweep_table.find(info.context.connection, project.id, sweep_name)


@project_type.field("sweeps")
def resolve_sweeps(
    project: StoredProject,
    info: Info,
    *,
    filters: str | None = None,
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    limit = _DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("Sweep", after) if after else 0
    matches = parse_filters(filters, SWEEP_FIELDS)
    found = sweep_table.page(info.context.connection, project.id, after=start)
    chosen = [sweep for sweep in found if matches is None or matches(sweep)][: limit + 1]
    return connection([(sweep, encode_id("Sweep", sweep.id)) for sweep in chosen], limit)


@sweep_type.field("id")
def resolve_id(sweep: StoredSweep, _: Info) -> str:
    return encode_id("Sweep", sweep.id)


@sweep_type.field("project")
def resolve_project(sweep: StoredSweep, info: Info) -> StoredProject | None:
    return project_table.find_by_id(info.context.connection, sweep.project_id)


@sweep_type.field("method")
def resolve_method(sweep: StoredSweep, _: Info) -> str:
    return parse_config(sweep.config).method


@sweep_type.field("earlyStopJobRunning")
def resolve_early_stop_job(sweep: StoredSweep, _: Info) -> bool:
    return sweep.state == sweep_table.RUNNING and parse_config(sweep.config).early_terminate is not None


@sweep_type.field("bestLoss")
def resolve_best_loss(sweep: StoredSweep, info: Info) -> float | None:
    metric = parse_config(sweep.config).metric
    if metric is None:
        return None
    return metric.best(sweep_results.summary_values(info.context.connection, sweep, metric.name))


@sweep_type.field("runCount")
def resolve_run_count(sweep: StoredSweep, info: Info) -> int:
    return len(sweep_results.runs(info.context.connection, sweep))


@sweep_type.field("runCountExpected")
def resolve_run_count_expected(sweep: StoredSweep, _: Info) -> int | None:
    config = parse_config(sweep.config)
    ends = [] if config.run_cap is None else [config.run_cap]
    if config.method == "grid":
        ends.append(grid_size(config.parameters))
    return min(ends, default=None)


@sweep_type.field("heartbeatAt")
def resolve_heartbeat(sweep: StoredSweep, info: Info) -> float | None:
    agents = agent_table.of_sweep(info.context.connection, sweep.id)
    return max((agent.heartbeat_at for agent in agents), default=None)


@sweep_type.field("runs")
def resolve_runs(
    sweep: StoredSweep, info: Info, *, after: str | None = None, first: int | None = None, order: str | None = None
) -> dict[str, Any]:
    def in_sweep(run: StoredRun) -> bool:
        return run.sweep_name == sweep.name

    return _run_page(sweep, info, in_sweep, after=after, first=first, order=order)


@sweep_type.field("priorRuns")
def resolve_prior_runs(sweep: StoredSweep, info: Info) -> dict[str, Any]:
    found = sweep_table.prior_runs(info.context.connection, sweep.id)
    runs = [(run_table.find_by_id(info.context.connection, run_id), encode_id("Run", run_id)) for run_id in found]
    return connection(runs, len(runs))


@sweep_type.field("agents")
def resolve_agents(sweep: StoredSweep, info: Info) -> dict[str, Any]:
    agents = agent_table.of_sweep(info.context.connection, sweep.id)
    return connection([(agent, encode_id("Agent", agent.id)) for agent in agents], len(agents))


@sweep_type.field("agent")
def resolve_agent(sweep: StoredSweep, info: Info, *, agent_name: str) -> StoredAgent | None:
    return agent_table.find(info.context.connection, sweep.id, agent_name)


@agent_type.field("id")
def resolve_agent_id(agent: StoredAgent, _: Info) -> str:
    return encode_id("Agent", agent.id)


@agent_type.field("runs")
def resolve_agent_runs(
    agent: StoredAgent,
    info: Info,
    *,
    after: str | None = None,
    before: str | None = None,  # noqa: ARG001 - the SDK never sends it
    first: int | None = None,
    last: int | None = None,  # noqa: ARG001 - the SDK never sends it
    order: str | None = None,
) -> dict[str, Any]:
    sweep = sweep_table.find_by_id(info.context.connection, agent.sweep_id)
    assert sweep is not None
    own = {trial.run_id for trial in trial_table.of_agent(info.context.connection, agent.id)}

    def of_agent(run: StoredRun) -> bool:
        return run.id in own

    return _run_page(sweep, info, of_agent, after=after, first=first, order=order)


@run_type.field("running")
def resolve_running(run: StoredRun, _: Info) -> bool:
    return run.state == "running"


@run_type.field("failed")
def resolve_failed(run: StoredRun, _: Info) -> bool:
    return run.state in ("failed", "crashed", "killed")


@run_type.field("shouldStop")
def resolve_should_stop(run: StoredRun, info: Info) -> bool:
    trial = trial_table.find(info.context.connection, run.id)
    return trial.stopping if trial else run.stop_requested


def _run_page(
    sweep: StoredSweep,
    info: Info,
    matches: run_table.RunFilter,
    *,
    after: str | None,
    first: int | None,
    order: str | None,
) -> dict[str, Any]:
    # Without a number: all of them, because the SDK reads no further page.
    found = run_table.page(
        info.context.connection,
        sweep.project_id,
        matches=matches,
        order=parse_order(order),
        after=after,
        limit=-1 if first is None else max(first, 0) + 1,
    )
    return connection(found, len(found) if first is None else max(first, 0))


BINDABLES = (sweep_type, agent_type)
