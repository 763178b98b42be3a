"""Creating a sweep, finding it again, and ending it. The functions block for a limited time."""

from __future__ import annotations

import json
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from wandb_artifacts import AccessDeniedError, AuthenticationError, DownloadError, ServerUnavailableError, is_transient
from wandb_artifacts.client import Client, Connection, find_setting

from wandb_sweeps._errors import SweepCreateError
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server import api
from wandb_sweeps._server.threadless import ThreadlessClient

if TYPE_CHECKING:
    from wandb_sweeps._lifecycle.planning import CreatePlan
    from wandb_sweeps._server.api import SweepState
    from wandb_sweeps._server.responses import ChangedSweep, Sweep

_logger = logging.getLogger("wandb_sweeps")

# Seconds that a request may take, including its retries.
_CREATE_TIMEOUT = 60.0
_END_TIMEOUT = 10.0
_ATTEMPTS = 4
_LONGEST_PAUSE = 2.0
# Appended to the marker of a sweep that was ended because its task failed: the next attempt resumes the sweep.
_ENDED_BY_FAILURE = " (ended by a failed attempt)"
_ENDED = ("FINISHED", "CANCELED")
_RUNNING_STATES = ["pending", "preempting", "running"]
_DEFAULT_PROJECT = "uncategorized"


@dataclass(frozen=True)
class OwnSweep:
    """A sweep that the current task has created, or has found as its own."""

    location: SweepLocation
    storage_id: str
    """The id by which W&B changes a sweep."""
    connection: Connection


def create_or_find(plan: CreatePlan) -> OwnSweep:
    """Create the sweep of a plan, or find it if an earlier attempt created it.

    Raises:
        MissingApiKeyError: No API key is configured.
        SweepCreateError: The server refused the request, or is unreachable.
    """
    connection = Connection.from_settings(plan.settings, host=plan.host)
    api.require_credentials(connection)
    client = Client(connection, timeout=_CREATE_TIMEOUT)
    try:
        entity = plan.entity or find_setting("entity") or client.default_entity()
        project = plan.project or find_setting("project") or _DEFAULT_PROJECT
        creation = _Creation(plan, connection, client, entity, project)
        return (creation.find() if plan.may_exist else None) or creation.create()
    except DownloadError as error:
        _logger.debug("The sweep could not be created", exc_info=True)
        raise SweepCreateError(_explain(error, plan, client.host)) from None


@dataclass(frozen=True)
class _Creation:
    plan: CreatePlan
    connection: Connection
    client: Client
    entity: str | None
    project: str

    def find(self) -> OwnSweep | None:
        """Find the sweep that has the marker of the plan; the newest, if a lost response made W&B create two."""
        if self.plan.marker is None or self.entity is None:
            return None
        sweeps = api.list_sweeps(self.client, self.entity, self.project)
        found = [sweep for sweep in sweeps if _last_line(sweep).removesuffix(_ENDED_BY_FAILURE) == self.plan.marker]
        if not found:
            return None
        sweep = max(found, key=lambda sweep: sweep.created_at or "")
        own = self._own(sweep, self.entity, self.project)
        _logger.info("Found the W&B sweep of an earlier attempt: %s", own.location.ref.url)
        if _has_ended(sweep) and _last_line(sweep).endswith(_ENDED_BY_FAILURE):
            _change(self.client, own, "RUNNING", self.plan.description)
        return own

    def create(self) -> OwnSweep:
        """Create the sweep.

        The request is never repeated blindly, because a response can be lost after W&B has created the sweep: the sweep
        is searched by its marker first.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._create()
            except (AuthenticationError, AccessDeniedError):
                raise
            except DownloadError as error:
                if (found := self.find()) is not None:
                    return found
                if self.plan.marker is None or not is_transient(error) or attempt == _ATTEMPTS:
                    raise
            time.sleep(random.uniform(0, min(2.0**attempt / 4, _LONGEST_PAUSE)))  # noqa: S311
        raise AssertionError  # the last attempt returns or raises

    def _create(self) -> OwnSweep:
        what = f"creation of sweep {self.plan.name!r}"
        created = api.upsert_sweep(
            self.client,
            what=what,
            is_repeatable=False,
            config=as_yaml(self.plan.config),
            description=self.plan.description,
            displayName=self.plan.name,
            entityName=self.entity,
            projectName=self.project,
            priorRunsFilters=_prior_runs_filter(self.plan.prior_runs),
        )
        for warning in created.config_validation_warnings or ():
            _logger.warning("W&B on the sweep configuration: %s", warning)
        project = created.sweep.project
        own = self._own(created.sweep, project.entity.name, project.name)
        _logger.info("Created W&B sweep %s: %s", own.location.id, own.location.ref.url)
        return own

    def _own(self, sweep: Sweep | ChangedSweep, entity: str, project: str) -> OwnSweep:
        location = SweepLocation(sweep.name, entity, project, self.client.host, self.plan.config_fingerprint)
        return OwnSweep(location, sweep.id, self.connection)


def end(
    own: OwnSweep,
    state: SweepState,
    *,
    has_failed: bool,
    needs_ended_trials: bool = False,
    is_exiting: bool = False,
) -> None:
    """End a sweep that has not ended yet: its agents get no more trials.

    Args:
        own: The sweep.
        state: "FINISHED" lets running trials finish, "CANCELED" stops them.
        has_failed: Whether it ends with a failed task, whose next attempt resumes the sweep.
        needs_ended_trials: Whether to leave a sweep that has a running trial, or none: agents elsewhere work for it.
        is_exiting: Whether the interpreter is exiting.

    Raises:
        DownloadError: The server refused the request, or is unreachable.
    """
    client = (ThreadlessClient if is_exiting else Client)(own.connection, timeout=_END_TIMEOUT)
    current = api.find_sweep(client, own.location)
    if current is None or _has_ended(current) or (needs_ended_trials and not _have_trials_ended(client, own)):
        return
    description = current.description
    if has_failed:
        description = f"{description or ''}{_ENDED_BY_FAILURE}"
    _change(client, own, state, description)


def _change(client: Client, own: OwnSweep, state: SweepState, description: str | None) -> None:
    api.upsert_sweep(
        client,
        what=f"state of sweep {own.location.ref}",
        id=own.storage_id,
        state=state,
        description=description,
        entityName=own.location.entity,
        projectName=own.location.project,
    )


def _have_trials_ended(client: Client, own: OwnSweep) -> bool:
    in_sweep = {"sweep": own.location.id}
    running = {"$and": [in_sweep, {"state": {"$in": _RUNNING_STATES}}]}
    first, first_running = (next(api.list_trials(client, own.location, which), None) for which in (in_sweep, running))
    return first is not None and first_running is None


def _has_ended(sweep: Sweep) -> bool:
    return sweep.state.upper() in _ENDED


def _last_line(sweep: Sweep) -> str:
    return (sweep.description or "").rpartition("\n")[2]


def _prior_runs_filter(prior_runs: tuple[str, ...]) -> str | None:
    return json.dumps({"$or": [{"name": run} for run in prior_runs]}) if prior_runs else None


class _Dumper(yaml.SafeDumper):
    """Writes strings in quotes: YAML dialects differ in which plain texts are numbers."""


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def as_yaml(config: object) -> str:
    """Write a sweep configuration in the form that W&B reads."""
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _explain(error: DownloadError, plan: CreatePlan, host: str) -> str:
    where = "/".join((plan.entity or "the default entity", plan.project or "the default project"))
    advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "")
    return f"Cannot create W&B sweep {plan.name!r} in {where} at {host}: {error}{advice}"


_ADVICE: tuple[tuple[type[DownloadError], str], ...] = (
    (AuthenticationError, ". Check that WANDB_API_KEY is complete, not revoked, and belongs to this server"),
    (AccessDeniedError, ". Check entity and project, and that the key's owner may write to the project"),
    (ServerUnavailableError, ". Check the host (host=, WANDB_BASE_URL), the network and its proxy"),
)
