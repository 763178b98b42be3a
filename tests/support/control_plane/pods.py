"""Attempts of actions as processes: arguments, environment, results."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from flyteidl2.core import execution_pb2, security_pb2

from tests.support.control_plane.actions import Action, ActionError, Attempt, Link, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flyteidl2.core.tasks_pb2 import TaskTemplate

    from tests.support.object_store import ObjectStore

_LINES = 20
_VARIABLE = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")


class MissingSecretError(LookupError):
    """A task requests a secret that the test did not provide."""


def variables(action: Action, attempt: Attempt, base: str, started: str) -> dict[str, str]:
    """Return the template variables of container arguments and links, by lower-case name."""
    output = f"{base}/{action.name}/{attempt.number}"
    return {
        "input": action.input_uri,
        "outputprefix": output,
        "rawoutputdataprefix": f"{base}/raw/{action.name}/{attempt.number}",
        "checkpointoutputprefix": f"{output}/_flytecheckpoints",
        "prevcheckpointprefix": f"{base}/{action.name}/{attempt.number - 1}/_flytecheckpoints"
        if attempt.number > 1
        else "",
        "runname": action.run,
        "actionname": action.name,
        "podname": attempt.pod_name,
        "runstarttime": started,
        "executionproject": action.id.run.project,
        "executiondomain": action.id.run.domain,
    }


def links(template: TaskTemplate, values: Mapping[str, str]) -> tuple[Link, ...]:
    """Return the log links of a task as the platform shows them."""
    return tuple(
        Link(log.name, substitute(log.uri, values), substitute(log.icon_uri, values))
        for log in template.metadata.log_links
    )


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace `{{.name}}`, ignoring case and spaces; unknown names stay."""

    def value(found: re.Match[str]) -> str:
        return values.get(found[1].lower(), found[0])

    return _VARIABLE.sub(value, text)


def environment(
    action: Action, attempt: Attempt, base: str, endpoint: str, secrets: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that the platform sets in a pod: identity, endpoint and secrets."""
    assert action.spec is not None
    run = action.id.run
    return {
        **_secrets(action.spec.task_template, secrets),
        "_U_EP_OVERRIDE": endpoint,
        "_U_INSECURE": "true",
        "_U_ORG_NAME": run.org,
        "_U_RUN_BASE": base,
        "FLYTE_INTERNAL_EXECUTION_PROJECT": run.project,
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": run.domain,
        "RUN_NAME": run.name,
        "ACTION_NAME": action.name,
        "FLYTE_ATTEMPT_NUMBER": str(attempt.number - 1),
    }


def _secrets(template: TaskTemplate, secrets: Mapping[str, str]) -> dict[str, str]:
    wanted = template.security_context.secrets
    for secret in wanted:
        if secret.key not in secrets or secret.mount_requirement == security_pb2.Secret.FILE:
            msg = f"secret {secret.key!r}: pass it to ControlPlane(secrets=...), not as a file"
            raise MissingSecretError(msg)
    return {secret.env_var or secret.key: secrets[secret.key] for secret in wanted}


async def conclude(action: Action, attempt: Attempt, store: ObjectStore, output: str) -> None:
    """Derive the result of an attempt from its files and exit code, as the platform does."""
    error = await read_error(store, output)
    if error is not None:
        attempt.phase, attempt.error = Phase.FAILED, error
    elif attempt.exit_code == 0:
        attempt.phase = Phase.SUCCEEDED
    else:
        attempt.phase, attempt.error = Phase.FAILED, _death(attempt)


async def read_error(store: ObjectStore, output: str) -> ActionError | None:
    """Read the error that the runtime wrote into an output directory."""
    data = await asyncio.to_thread(store.read, f"{output}/error.pb")
    if data is None:
        return None
    error = execution_pb2.ErrorDocument.FromString(data).error
    return ActionError(
        code=error.code,
        message=error.message,
        is_user=error.origin != execution_pb2.ExecutionError.SYSTEM,
        is_recoverable=error.kind == execution_pb2.ContainerError.RECOVERABLE,
    )


def _death(attempt: Attempt) -> ActionError:
    how = f"exit code {attempt.exit_code}" if attempt.signal is None else f"signal {attempt.signal.name}"
    tail = "\n".join(attempt.stderr.splitlines()[-_LINES:])
    return ActionError("PodFailed", f"pod {attempt.pod_name} ended with {how}\n{tail}")
