"""Range headers with many parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import loopback
from tests.wandb_devserver.test_files import upload_url

if TYPE_CHECKING:
    from tests.wandb_devserver.support import RawClient


@pytest.mark.parametrize(
    "ranges",
    [
        ",".join(f"{start}-{start}" for start in range(0, 2000, 2)),
        ",".join(["0-"] * 2000),
        ",".join(f"{start}-99999" for start in range(2000)),
        "9" * 10_000 + "-",
        "x" * 10_000,
    ],
    ids=["disjoint", "equal", "overlapping", "huge", "nonsense"],
)
def test_response_to_many_ranges_is_complete(raw: RawClient, ranges: str) -> None:
    """httpx raises where a body is shorter than its Content-Length."""
    raw.open_run("r")
    loopback.put(upload_url(raw, "a.bin"), content=bytes(100_000))
    response = raw.http.get("/files/local/p/r/a.bin", headers={"Range": f"bytes={ranges}"})

    assert response.status_code < 500
    assert len(response.content) < 300_000


def test_range_of_two_parts_is_ignored(raw: RawClient) -> None:
    """The whole file is sent; a single range is served."""
    raw.open_run("r")
    loopback.put(upload_url(raw, "a.bin"), content=b"0123456789")
    several, single = (
        raw.http.get("/files/local/p/r/a.bin", headers={"Range": f"bytes={ranges}"}) for ranges in ("0-0,5-5", "5-6")
    )

    assert (several.status_code, several.content) == (200, b"0123456789")
    assert (single.status_code, single.content) == (206, b"56")
