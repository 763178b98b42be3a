"""Actions as messages of the wire protocol."""

from __future__ import annotations

from flyteidl2.core import catalog_pb2, execution_pb2
from flyteidl2.task import common_pb2
from flyteidl2.workflow import run_definition_pb2, state_service_pb2

from tests.support.control_plane.actions import Action, ActionError, Attempt, Kind


def update(action: Action) -> state_service_pb2.ActionUpdate:
    """Build the update about a child that its parent receives."""
    message = state_service_pb2.ActionUpdate(
        action_id=action.id, phase=action.phase.value, output_uri=action.output_uri
    )
    if action.error is not None:
        message.error.CopyFrom(_execution_error(action.error))
    return message


def summary(action: Action) -> run_definition_pb2.Action:
    """Build an item of a list of actions."""
    return run_definition_pb2.Action(id=action.id, metadata=_metadata(action), status=_status(action))


def details(action: Action) -> run_definition_pb2.ActionDetails:
    """Build the details of an action."""
    message = run_definition_pb2.ActionDetails(
        id=action.id,
        metadata=_metadata(action),
        status=_status(action),
        task=action.spec,
        attempts=[_attempt(action, attempt) for attempt in action.attempts],
    )
    if action.error is not None:
        message.error_info.CopyFrom(_error_info(action.error))
    if action.abort_reason is not None:
        message.abort_info.CopyFrom(run_definition_pb2.AbortInfo(reason=action.abort_reason))
    return message


def _metadata(action: Action) -> run_definition_pb2.ActionMetadata:
    message = run_definition_pb2.ActionMetadata(parent=action.parent, group=action.group)
    if action.kind is Kind.TRACE:
        message.action_type = run_definition_pb2.ACTION_TYPE_TRACE
        message.trace.name = action.task
    elif action.spec is not None:
        message.action_type = run_definition_pb2.ACTION_TYPE_TASK
        message.task.id.name = action.task
        message.task.task_type = action.spec.task_template.type
        message.task.short_name = action.spec.short_name
    return message


def _status(action: Action) -> run_definition_pb2.ActionStatus:
    cache = catalog_pb2.CACHE_HIT if action.is_cached else catalog_pb2.CACHE_DISABLED
    return run_definition_pb2.ActionStatus(
        phase=action.phase.value, attempts=len(action.attempts), cache_status=cache, start_time=action.start_time
    )


def _attempt(action: Action, attempt: Attempt) -> run_definition_pb2.ActionAttempt:
    message = run_definition_pb2.ActionAttempt(
        phase=attempt.phase.value,
        attempt=attempt.number,
        log_info=[execution_pb2.TaskLog(name=link.name, uri=link.uri, icon_uri=link.icon_uri) for link in action.links],
        outputs=common_pb2.OutputReferences(output_uri=action.output_uri),
        start_time=action.start_time,
    )
    if attempt.error is not None:
        message.error_info.CopyFrom(_error_info(attempt.error))
    return message


def _error_info(error: ActionError) -> run_definition_pb2.ErrorInfo:
    info = run_definition_pb2.ErrorInfo
    return info(code=error.code, message=error.message, kind=info.KIND_USER if error.is_user else info.KIND_SYSTEM)


def _execution_error(error: ActionError) -> execution_pb2.ExecutionError:
    kinds, recoverability = execution_pb2.ExecutionError, execution_pb2.ContainerError
    return execution_pb2.ExecutionError(
        code=error.code,
        message=error.message,
        kind=kinds.USER if error.is_user else kinds.SYSTEM,
        recoverability=recoverability.RECOVERABLE if error.is_recoverable else recoverability.NON_RECOVERABLE,
    )
