"""RPCs that the unmodified driver calls, and the ASGI application of all RPCs; others return "unimplemented"."""

# ruff: noqa: ARG002 - the generated servers give every RPC its context

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_connect
from flyteidl2.cluster import payload_pb2 as cluster_pb2
from flyteidl2.cluster import service_connect as cluster_connect
from flyteidl2.common import identifier_pb2
from flyteidl2.dataproxy import dataproxy_service_connect
from flyteidl2.imagebuilder import definition_pb2
from flyteidl2.imagebuilder import payload_pb2 as image_pb2
from flyteidl2.imagebuilder import service_connect as image_connect
from flyteidl2.task import task_service_connect, task_service_pb2
from flyteidl2.workflow import (
    queue_service_connect,
    run_definition_pb2,
    run_service_connect,
    run_service_pb2,
    state_service_connect,
)

from tests.support.control_plane import messages
from tests.support.control_plane.actions import Action
from tests.support.control_plane.data_services import DataProxy
from tests.support.control_plane.scheduler import RunRecord, Scheduler
from tests.support.control_plane.service import Service
from tests.support.control_plane.task_services import Actions, Queue, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.control_plane.service import Context

ROOT = "a0"
"""The name of every run's first action."""


def application(scheduler: Scheduler) -> Any:
    """The ASGI application of all services."""
    applications: list[Any] = [
        run_service_connect.RunServiceASGIApplication(Runs(scheduler)),
        queue_service_connect.QueueServiceASGIApplication(Queue(scheduler)),
        state_service_connect.StateServiceASGIApplication(State(scheduler)),
        actions_service_connect.ActionsServiceASGIApplication(Actions(scheduler)),
        dataproxy_service_connect.DataProxyServiceASGIApplication(DataProxy(scheduler)),
        cluster_connect.ClusterServiceASGIApplication(Cluster()),
        image_connect.ImageServiceASGIApplication(Images()),
        task_service_connect.TaskServiceASGIApplication(Tasks()),
    ]
    services = {application.path: application for application in applications}

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        service = services.get(scope["path"].rpartition("/")[0])
        if service is None:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await service(scope, receive, send)

    return dispatch


class Runs(Service, run_service_connect.RunService):
    """Runs: create, watch, list, abort."""

    async def create_run(
        self, request: run_service_pb2.CreateRunRequest, ctx: Context
    ) -> run_service_pb2.CreateRunResponse:
        run_id = request.run_id
        if not request.HasField("run_id"):
            project = request.project_id
            run_id = identifier_pb2.RunIdentifier(
                org=project.organization, project=project.name, domain=project.domain, name=f"r{uuid.uuid4().hex[:12]}"
            )
        if run_id.name in self.scheduler.runs:
            raise ConnectError(Code.ALREADY_EXISTS, f"run {run_id.name!r} exists")
        action = Action(
            id=identifier_pb2.ActionIdentifier(run=run_id, name=ROOT),
            task=request.task_spec.task_template.id.name,
            spec=request.task_spec,
            input_uri=request.offloaded_input_data.uri,
        )
        started = action.start_time.ToJsonString()
        self.scheduler.runs[run_id.name] = RunRecord(
            f"{self.scheduler.bucket}/{run_id.name}", request.run_spec, started
        )
        self.scheduler.submit(action)
        return run_service_pb2.CreateRunResponse(run=run_definition_pb2.Run(action=messages.summary(action)))

    async def abort_run(
        self, request: run_service_pb2.AbortRunRequest, ctx: Context
    ) -> run_service_pb2.AbortRunResponse:
        root = identifier_pb2.ActionIdentifier(run=request.run_id, name=ROOT)
        self.scheduler.abort(self.action(root), request.reason)
        return run_service_pb2.AbortRunResponse()

    async def abort_action(
        self, request: run_service_pb2.AbortActionRequest, ctx: Context
    ) -> run_service_pb2.AbortActionResponse:
        self.scheduler.abort(self.action(request.action_id), request.reason)
        return run_service_pb2.AbortActionResponse()

    async def get_run_details(
        self, request: run_service_pb2.GetRunDetailsRequest, ctx: Context
    ) -> run_service_pb2.GetRunDetailsResponse:
        root = self.action(identifier_pb2.ActionIdentifier(run=request.run_id, name=ROOT))
        spec = self.scheduler.runs[request.run_id.name].spec
        details = run_definition_pb2.RunDetails(run_spec=spec, action=messages.details(root))
        return run_service_pb2.GetRunDetailsResponse(details=details)

    async def get_action_details(
        self, request: run_service_pb2.GetActionDetailsRequest, ctx: Context
    ) -> run_service_pb2.GetActionDetailsResponse:
        details = messages.details(self.action(request.action_id))
        return run_service_pb2.GetActionDetailsResponse(details=details)

    async def watch_action_details(
        self, request: run_service_pb2.WatchActionDetailsRequest, ctx: Context
    ) -> AsyncIterator[run_service_pb2.WatchActionDetailsResponse]:
        action = self.action(request.action_id)
        sent: run_definition_pb2.ActionDetails | None = None
        while not self.scheduler.is_closed:
            change, is_final = self.scheduler.changes.next, action.phase.is_final
            if (details := messages.details(action)) != sent:
                sent = details
                yield run_service_pb2.WatchActionDetailsResponse(details=details)
            if is_final:
                return
            await change.wait()

    async def list_runs(
        self, request: run_service_pb2.ListRunsRequest, ctx: Context
    ) -> run_service_pb2.ListRunsResponse:
        roots = [run.actions[ROOT] for run in self.scheduler.runs.values()]
        runs = [run_definition_pb2.Run(action=messages.summary(root)) for root in roots]
        return run_service_pb2.ListRunsResponse(runs=runs)

    async def list_actions(
        self, request: run_service_pb2.ListActionsRequest, ctx: Context
    ) -> run_service_pb2.ListActionsResponse:
        actions = self.scheduler.runs[request.run_id.name].actions.values()
        return run_service_pb2.ListActionsResponse(actions=map(messages.summary, actions))


class Cluster(cluster_connect.ClusterService):
    """Names this plane as the only cluster."""

    async def select_cluster(
        self, request: cluster_pb2.SelectClusterRequest, ctx: Context
    ) -> cluster_pb2.SelectClusterResponse:
        return cluster_pb2.SelectClusterResponse()


class Images(image_connect.ImageService):
    """Reports every image as existing: pods run in the environment of the tests."""

    async def get_image(self, request: image_pb2.GetImageRequest, ctx: Context) -> image_pb2.GetImageResponse:
        return image_pb2.GetImageResponse(image=definition_pb2.Image(id=request.id, fqin=f"test/{request.id.name}"))


class Tasks(task_service_connect.TaskService):
    """Accepts every deployment and stores nothing: `flyte.deploy` returns what it sent."""

    async def deploy_task(
        self, request: task_service_pb2.DeployTaskRequest, ctx: Context
    ) -> task_service_pb2.DeployTaskResponse:
        return task_service_pb2.DeployTaskResponse()
