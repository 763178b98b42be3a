"""The base of all RPC services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError

if TYPE_CHECKING:
    from typing import TypeAlias

    from connectrpc.request import RequestContext
    from flyteidl2.common.identifier_pb2 import ActionIdentifier

    from tests.support.control_plane.actions import Action
    from tests.support.control_plane.scheduler import Scheduler

    Context: TypeAlias = RequestContext[Any, Any]


class Service:
    """Base class: an RPC service of one scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler

    def action(self, action_id: ActionIdentifier) -> Action:
        action = self.scheduler.find(action_id.run.name, action_id.name)
        if action is None:
            raise ConnectError(Code.NOT_FOUND, f"no action {action_id.name!r} in run {action_id.run.name!r}")
        return action
