"""Creating a sweep, finding it again, and ending it. Everything here that waits is blocking, and bounded."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import wandb
import yaml
from wandb_runtime.server.diagnostics import outage_advice, require_credentials, summarize_error
from wandb_runtime.server.queries import despite_teardown

from wandb_sweeps._errors import SweepCreateError
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server.requests import Connection, WandbApiFailedError

if TYPE_CHECKING:
    from wandb_sweeps._lifecycle.planning import CreatePlan
    from wandb_sweeps._server.requests import SweepState

_logger = logging.getLogger("wandb_sweeps")

# Seconds that a request may take, the SDK's own retries included.
_FOR_CREATING = 60.0
_FOR_ENDING = 10.0
# What follows the marker of a sweep that was ended because its task has failed: the next attempt goes on with it.
_ENDED_BY_FAILURE = " (ended by a failed attempt)"
_ENDED = ("FINISHED", "CANCELED")


@dataclass(frozen=True)
class OwnSweep:
    """A sweep that the current task has created, or has found as its own."""

    location: SweepLocation
    storage_id: str
    """What W&B asks for where a sweep is to be changed."""


def create_or_find(plan: CreatePlan) -> OwnSweep:
    """The sweep of a plan.

    Raises:
        MissingApiKeyError: There is no API key.
        SweepCreateError: The server refuses it or cannot be reached.
    """
    try:
        host = require_credentials(plan.host)
    except wandb.Error as error:
        raise _explained(error, plan) from error
    try:
        connection = Connection.to(host, timeout=_FOR_CREATING)
        entity, project = connection.default_address(plan.entity, plan.project)
        found = _find(plan, connection, entity, project) if plan.may_exist else None
        return found or _create(plan, connection, entity, project)
    except Exception as error:
        raise _explained(error, plan) from error


def _find(plan: CreatePlan, connection: Connection, entity: str | None, project: str) -> OwnSweep | None:
    """The sweep that carries the marker of a plan; the newest, should a lost reply have made W&B create two."""
    if plan.marker is None or entity is None:
        return None
    found = [sweep for sweep in connection.sweeps(entity, project) if _carries(sweep, plan.marker)]
    if not found:
        return None
    sweep = max(found, key=lambda sweep: str(sweep["createdAt"]))
    _logger.info("W&B sweep %s of an earlier attempt is found again", sweep["name"])
    if str(sweep["state"]).upper() in _ENDED and _last_line(sweep).endswith(_ENDED_BY_FAILURE):
        _change(connection, sweep["id"], entity, project, "RUNNING", plan.description)
    location = SweepLocation(sweep["name"], entity, project, connection.host, plan.config_fingerprint)
    return OwnSweep(location, sweep["id"])


def _carries(sweep: dict[str, Any], marker: str) -> bool:
    return _last_line(sweep).removesuffix(_ENDED_BY_FAILURE) == marker


def _last_line(sweep: dict[str, Any]) -> str:
    return str(sweep.get("description") or "").rpartition("\n")[2]


def _create(plan: CreatePlan, connection: Connection, entity: str | None, project: str) -> OwnSweep:
    try:
        created = connection.upsert_sweep(
            config=as_yaml(plan.config),
            description=plan.description,
            displayName=plan.name,
            entityName=entity,
            projectName=project,
            priorRunsFilters=_filters_of(plan.prior_runs),
        )
    except WandbApiFailedError:
        # The reply may have been lost, and the request not.
        found = _find(plan, connection, entity, project)
        if found is None:
            raise
        return found
    for warning in created.get("configValidationWarnings") or ():
        _logger.warning("W&B on the sweep configuration: %s", warning)
    sweep = created["sweep"]
    of = sweep["project"]
    location = SweepLocation(sweep["name"], of["entity"]["name"], of["name"], connection.host, plan.config_fingerprint)
    _logger.info("W&B sweep %s is created: %s", location.id, location.ref.url)
    return OwnSweep(location, sweep["id"])


def _filters_of(prior_runs: tuple[str, ...]) -> str | None:
    return json.dumps({"$or": [{"name": run} for run in prior_runs]}) if prior_runs else None


def end(own: OwnSweep, state: SweepState, *, has_failed: bool) -> None:
    """Ends a sweep that still goes on: its agents, wherever they are, get nothing more to do.

    Args:
        own: The sweep.
        state: "FINISHED" lets running trials end, "CANCELED" stops them.
        has_failed: Whether it ends with a failed task, whose next attempt is to go on with it.

    Raises:
        Exception: The server refuses it or does not answer.
    """
    despite_teardown(lambda: _end(own, state, has_failed=has_failed))


def _end(own: OwnSweep, state: SweepState, *, has_failed: bool) -> None:
    location = own.location
    connection = Connection.to(location.host, timeout=_FOR_ENDING)
    current = connection.find_sweep(location.entity, location.project, location.id)
    if current is None or str(current["state"]).upper() in _ENDED:
        return
    description = current.get("description")
    if has_failed:
        description = f"{description or ''}{_ENDED_BY_FAILURE}"
    _change(connection, own.storage_id, location.entity, location.project, state, description)


def _change(
    connection: Connection, storage_id: str, entity: str, project: str, state: SweepState, description: str | None
) -> None:
    connection.upsert_sweep(id=storage_id, state=state, description=description, entityName=entity, projectName=project)


class _Dumper(yaml.SafeDumper):
    """Writes strings in quotes: what reads like a number in one dialect of YAML is a string in another."""


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def as_yaml(config: object) -> str:
    """A sweep configuration as W&B takes it."""
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _explained(error: Exception, plan: CreatePlan) -> SweepCreateError:
    host = plan.host or os.environ.get("WANDB_BASE_URL") or "the default W&B server"
    where = "/".join((plan.entity or "the default entity", plan.project or "the default project"))
    advice = outage_advice(error) or "Check WANDB_API_KEY, the entity and the project"
    return SweepCreateError(
        f"W&B sweep {plan.name!r} cannot be created in {where} at {host}: {advice}. "
        f"{type(error).__name__}: {summarize_error(error)}"
    )
