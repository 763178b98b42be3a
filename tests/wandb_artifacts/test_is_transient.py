"""Classification of errors as transient or permanent."""

from types import SimpleNamespace

import httpx
import pytest
from wandb_artifacts import InvalidValueError, is_transient


class CommError(Exception):
    """Like wandb.errors.CommError, with the original error in `exc`."""

    def __init__(self, exc: Exception | None) -> None:
        super().__init__("<no message>")
        self.exc = exc


class ApiFailedError(Exception):
    """Like the error of the SDK's service, with the server's response in `response`."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.response = SimpleNamespace(http_status=status) if status else None


def http_error(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://h")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status, request=request))


def caused_by(cause: Exception) -> Exception:
    error = RuntimeError("outer")
    error.__cause__ = cause
    return error


def endless() -> Exception:
    error = ValueError("its own cause")
    error.__cause__ = error
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        *[(http_error(status), True) for status in (408, 429, 500, 502, 503, 504, 599)],
        *[(http_error(status), False) for status in (400, 401, 403, 404, 409, 410, 422)],
        *[(CommError(ApiFailedError(status)), True) for status in (429, 500)],
        *[(CommError(ApiFailedError(status)), False) for status in (0, 401, 403, 404)],
        (CommError(None), False),
        (ConnectionResetError(), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (httpx.ConnectError(""), True),
        (httpx.ReadTimeout(""), True),
        (httpx.RemoteProtocolError(""), True),
        (httpx.InvalidURL(""), False),
        (caused_by(ConnectionResetError()), True),
        (caused_by(http_error(404)), False),
        (ValueError(), False),
        (InvalidValueError("f", 1, "r"), False),
        (FileNotFoundError(), False),
        (KeyboardInterrupt(), False),
        (endless(), False),
    ],
    ids=repr,
)
def test_is_transient_classifies_errors(error: BaseException, expected: bool) -> None:
    """Server errors and broken connections are transient; a refusal is permanent."""
    assert is_transient(error) is expected
