"""RPCs about data: uploads of code and inputs, downloads of outputs and reports."""

# ruff: noqa: ARG002 - the generated servers give every RPC its context

from __future__ import annotations

import asyncio
import hashlib
import uuid
from typing import TYPE_CHECKING

from flyteidl2.dataproxy import dataproxy_service_connect, dataproxy_service_pb2
from flyteidl2.task import common_pb2

from tests.support.control_plane.actions import Kind
from tests.support.control_plane.service import Service

if TYPE_CHECKING:
    from tests.support.control_plane.service import Context


class DataProxy(Service, dataproxy_service_connect.DataProxyService):
    """Signed URLs for the driver: uploads of code and inputs, downloads of outputs and reports."""

    async def create_upload_location(
        self, request: dataproxy_service_pb2.CreateUploadLocationRequest, ctx: Context
    ) -> dataproxy_service_pb2.CreateUploadLocationResponse:
        folder = request.filename_root or request.content_md5.hex()
        uri = f"{self.scheduler.bucket}/uploads/{folder}/{request.filename}"
        return dataproxy_service_pb2.CreateUploadLocationResponse(
            signed_url=self.scheduler.store.signed_url(uri), native_url=uri
        )

    async def upload_inputs(
        self, request: dataproxy_service_pb2.UploadInputsRequest, ctx: Context
    ) -> dataproxy_service_pb2.UploadInputsResponse:
        data = request.inputs.SerializeToString(deterministic=True)
        uri = f"{self.scheduler.bucket}/inputs/{uuid.uuid4().hex}/inputs.pb"
        await asyncio.to_thread(self.scheduler.store.write, uri, data)
        response = dataproxy_service_pb2.UploadInputsResponse()
        response.offloaded_input_data.uri = uri
        response.offloaded_input_data.inputs_hash = hashlib.sha256(data).hexdigest()
        return response

    async def get_action_data(
        self, request: dataproxy_service_pb2.GetActionDataRequest, ctx: Context
    ) -> dataproxy_service_pb2.GetActionDataResponse:
        action, read = self.action(request.action_id), self.scheduler.store.read
        inputs = await asyncio.to_thread(read, action.input_uri)
        is_trace = action.kind is Kind.TRACE
        uri = action.output_uri if is_trace else f"{action.output_uri}/outputs.pb"
        outputs = await asyncio.to_thread(read, uri) if action.output_uri else None
        return dataproxy_service_pb2.GetActionDataResponse(
            inputs=common_pb2.Inputs.FromString(inputs or b""), outputs=common_pb2.Outputs.FromString(outputs or b"")
        )

    async def create_download_link(
        self, request: dataproxy_service_pb2.CreateDownloadLinkRequest, ctx: Context
    ) -> dataproxy_service_pb2.CreateDownloadLinkResponse:
        attempt = request.action_attempt_id
        action = self.action(attempt.action_id)
        uri = f"{self.scheduler.runs[action.run].base}/{action.name}/{attempt.attempt}/report.html"
        response = dataproxy_service_pb2.CreateDownloadLinkResponse()
        response.pre_signed_urls.signed_url.append(self.scheduler.store.signed_url(uri))
        return response
