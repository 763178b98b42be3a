"""RPCs of the controller in a running task: it submits children and traces, and watches them."""

# ruff: noqa: ARG002 - the generated servers give every RPC its context

from __future__ import annotations

from typing import TYPE_CHECKING

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_connect, actions_service_pb2
from flyteidl2.workflow import (
    queue_service_connect,
    queue_service_pb2,
    state_service_connect,
    state_service_pb2,
)

from tests.support.control_plane import messages
from tests.support.control_plane.actions import Action, Kind, Phase
from tests.support.control_plane.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from flyteidl2.common.identifier_pb2 import ActionIdentifier

    from tests.support.control_plane.service import Context

_CANCELLED = "cancelled by its parent"


class _Family(Service):
    async def submit(self, request: queue_service_pb2.EnqueueActionRequest | actions_service_pb2.Action) -> None:
        action = Action(
            id=request.action_id,
            task=request.trace.name or request.task.spec.task_template.id.name,
            parent=request.parent_action_name,
            group=request.group,
            input_uri=request.input_uri,
        )
        if request.HasField("trace"):
            action.kind, action.phase = Kind.TRACE, Phase(request.trace.phase)
            action.output_uri = request.trace.outputs.output_uri
            await self.scheduler.record_trace(action)
        elif self.scheduler.find(*action.key):
            raise ConnectError(Code.ALREADY_EXISTS, f"action {action.name!r} exists")
        else:
            action.spec, action.cache_key = request.task.spec, request.task.cache_key.value
            self.scheduler.submit(action)

    async def updates(
        self, parent: ActionIdentifier
    ) -> AsyncIterator[tuple[state_service_pb2.ActionUpdate | None, state_service_pb2.ControlMessage | None]]:
        """Yield the current states of the children, a sentinel, and every later change."""
        seen: dict[str, bytes] = {}
        is_synchronized = False
        while not self.scheduler.is_closed:
            change = self.scheduler.changes.next
            for child in self.scheduler.children(parent.run.name, parent.name):
                update = messages.update(child)
                if seen.get(child.name) != (state := update.SerializeToString(deterministic=True)):
                    seen[child.name] = state
                    yield update, None
            if not is_synchronized:
                is_synchronized = True
                yield None, state_service_pb2.ControlMessage(sentinel=True)
            await change.wait()


class Queue(_Family, queue_service_connect.QueueService):
    """Receives children and traces of running tasks."""

    async def enqueue_action(
        self, request: queue_service_pb2.EnqueueActionRequest, ctx: Context
    ) -> queue_service_pb2.EnqueueActionResponse:
        await self.submit(request)
        return queue_service_pb2.EnqueueActionResponse()

    async def abort_queued_action(
        self, request: queue_service_pb2.AbortQueuedActionRequest, ctx: Context
    ) -> queue_service_pb2.AbortQueuedActionResponse:
        self.scheduler.abort(self.action(request.action_id), request.reason or _CANCELLED)
        return queue_service_pb2.AbortQueuedActionResponse()


class State(_Family, state_service_connect.StateService):
    """Streams the states of children to running tasks."""

    async def watch(
        self, request: state_service_pb2.WatchRequest, ctx: Context
    ) -> AsyncIterator[state_service_pb2.WatchResponse]:
        async for update, control in self.updates(request.parent_action_id):
            yield state_service_pb2.WatchResponse(action_update=update, control_message=control)


class Actions(_Family, actions_service_connect.ActionsService):
    """Queue and state combined, which tasks use with `_U_USE_ACTIONS=1`."""

    async def enqueue(
        self, request: actions_service_pb2.EnqueueRequest, ctx: Context
    ) -> actions_service_pb2.EnqueueResponse:
        await self.submit(request.action)
        return actions_service_pb2.EnqueueResponse()

    async def abort(self, request: actions_service_pb2.AbortRequest, ctx: Context) -> actions_service_pb2.AbortResponse:
        self.scheduler.abort(self.action(request.action_id), request.reason or _CANCELLED)
        return actions_service_pb2.AbortResponse()

    async def watch_for_updates(
        self, request: actions_service_pb2.WatchForUpdatesRequest, ctx: Context
    ) -> AsyncIterator[actions_service_pb2.WatchForUpdatesResponse]:
        async for update, control in self.updates(request.parent_action_id):
            yield actions_service_pb2.WatchForUpdatesResponse(action_update=update, control_message=control)
