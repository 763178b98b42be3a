"""An S3-compatible store on loopback: moto, in a separate process.

Separate, because moto takes seconds to import and its server leaves warnings that would fail other tests.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree

import httpx

from tests.support import loopback

if TYPE_CHECKING:
    from types import TracebackType

# The server ends with this process, because its standard input is closed then.
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
_NAMES = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class ObjectStoreError(RuntimeError):
    """The store did not start."""


class ObjectStore:
    """A store as a context manager; planes that share it use different buckets.

    It starts in the background; the first use waits for it.
    """

    def __enter__(self) -> ObjectStore:
        command = [sys.executable, "-c", _SERVER]
        # A file: moto writes a line for every request, and would block on a pipe without a reader.
        self._log = tempfile.TemporaryFile("w+")
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self._endpoint = ""
        # Never through a proxy of the environment.
        self._http = loopback.Client(timeout=30, trust_env=False, headers={"Authorization": "AWS test:test"})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()
        self._server.kill()
        self._server.communicate()
        self._log.close()

    @property
    def endpoint(self) -> str:
        """The URL of the store."""
        if not self._endpoint:
            assert self._server.stdout is not None
            port = self._server.stdout.readline().strip()
            if not port:
                self._log.seek(0)
                msg = f"the S3 server did not start: {self._log.read()}"
                raise ObjectStoreError(msg)
            self._endpoint = f"http://127.0.0.1:{port}"
        return self._endpoint

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Flyte reaches the store."""
        return {
            "FLYTE_AWS_ENDPOINT": self.endpoint,
            "FLYTE_AWS_ACCESS_KEY_ID": "test",
            "FLYTE_AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    def new_bucket(self) -> str:
        """Make a bucket and return its URI."""
        uri = f"s3://{uuid.uuid4().hex}"
        self._http.put(self.url(uri)).raise_for_status()
        return uri

    def url(self, uri: str) -> str:
        """Return the HTTP URL of an `s3://` URI."""
        return f"{self.endpoint}/{quote(uri.removeprefix('s3://'))}"

    def signed_url(self, uri: str) -> str:
        """Return an HTTP URL for clients without credentials; moto accepts every signature."""
        return f"{self.url(uri)}?Signature=test"

    def keep_versions(self, bucket: str) -> None:
        """Keep the earlier versions of objects that are written again."""
        body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self._http.put(f"{self.url(bucket)}?versioning", content=body.encode()).raise_for_status()

    def write(self, uri: str, data: bytes) -> None:
        self._http.put(self.url(uri), content=data).raise_for_status()

    def read(self, uri: str) -> bytes | None:
        """Read an object; None if it does not exist."""
        response = self._http.get(self.url(uri))
        return None if response.status_code == httpx.codes.NOT_FOUND else response.raise_for_status().content

    def list(self, uri: str) -> dict[str, int]:
        """List the objects below a URI: relative paths and sizes in bytes."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        prefix = prefix.rstrip("/") + "/" if prefix else ""
        params: dict[str, Any] = {"list-type": "2", "prefix": prefix}
        response = self._http.get(f"{self.endpoint}/{bucket}", params=params).raise_for_status()
        objects = ElementTree.fromstring(response.content).iter(f"{_NAMES}Contents")
        return {
            (item.findtext(f"{_NAMES}Key") or "").removeprefix(prefix): int(item.findtext(f"{_NAMES}Size") or 0)
            for item in objects
        }
