"""Downloads against an ideal client and against a loop over `wandb.Api()`.

    hatch run bench:run benchmarks/artifact_downloads.py [--runs N] [--rows N] [--latency S] [--rounds N] [--goal G]
                                                         [--times_faster G] [--megabytes N] [--large_goal G]

1. A sweep of `--runs` runs with 8 files and `--rows` rows each; the server delays each response by `--latency`
   seconds. The ideal client knows all URLs beforehand, sends the same file and history requests over as many
   connections, computes the same digests and writes to disk; it lists nothing. The loop is what one writes with the
   SDK: `file.download`, `scan_history`, one after the other.
2. One file of `--megabytes` from a server without a delay; also with a client that does not verify.

Each client runs in a separate process; the clock starts after its imports.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import report
from paired import Rounds, arguments, in_turns
from slow_devserver import SlowServer, slow_devserver

CONNECTIONS = 16
PIECE = 1024 * 1024
FILE_SIZES = (200, 2_000, 10_000, 50_000, 100_000, 200_000, 400_000, 900_000)


def ours(plan: dict[str, Any], folder: str) -> float:
    from wandb_artifacts import download_run, download_sweep

    download = download_sweep if plan["is_sweep"] else download_run
    started = time.perf_counter()
    download(plan["path"], folder, jobs=CONNECTIONS)
    return time.perf_counter() - started


def loop(plan: dict[str, Any], folder: str) -> float:
    import wandb

    started = time.perf_counter()
    sweep: Any = wandb.Api().sweep(plan["path"])  # type: ignore[no-untyped-call]
    for run in sweep.runs:
        for file in run.files():
            file.download(root=f"{folder}/{run.id}").close()
        with Path(folder, run.id, "metrics_history.json").open("w") as history:
            json.dump(list(run.scan_history()), history)
    return time.perf_counter() - started


def ideal(plan: dict[str, Any], folder: str) -> float:
    return _ideal(plan, folder, verify=True)


def careless(plan: dict[str, Any], folder: str) -> float:
    return _ideal(plan, folder, verify=False)


def _ideal(plan: dict[str, Any], folder: str, *, verify: bool) -> float:
    import aiohttp

    key = base64.b64encode(f"api:{os.environ['WANDB_API_KEY']}".encode()).decode()

    async def fetch(session: aiohttp.ClientSession, request: dict[str, Any]) -> None:
        path = Path(folder, request["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.md5()
        send = session.post(request["url"], json=request["body"]) if request["body"] else session.get(request["url"])

        def store(data: bytes) -> None:
            if verify:
                digest.update(data)
            out.write(data)

        async with send as response:
            with path.open("ab") as out:  # noqa: ASYNC230 - at once
                piece, writing = bytearray(), None
                async for data in response.content.iter_any():
                    piece += data
                    if len(piece) >= PIECE:
                        if writing:
                            await writing
                        writing = asyncio.ensure_future(asyncio.to_thread(store, bytes(piece)))
                        piece.clear()
                if writing:
                    await writing
                store(bytes(piece))
        if verify and request["md5"]:
            assert base64.b64encode(digest.digest()).decode() == request["md5"], path

    async def main() -> None:
        left = iter(plan["requests"])

        async def worker(session: aiohttp.ClientSession) -> None:
            for request in left:
                await fetch(session, request)

        headers = {"Authorization": f"Basic {key}"}
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=PIECE) as session:
            await asyncio.gather(*(worker(session) for _ in range(CONNECTIONS)))

    started = time.perf_counter()
    asyncio.run(main())
    return time.perf_counter() - started


ROLES = {role.__name__: role for role in (ours, loop, ideal, careless)}


def measure(role: str, plan: Path) -> float:
    """Seconds that a client takes in a separate process, to an empty folder."""
    with tempfile.TemporaryDirectory(dir=plan.parent) as folder:
        command = [sys.executable, __file__, "--role", role, str(plan), folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


async def requests_of(path: str, *, is_sweep: bool) -> list[dict[str, Any]]:
    """The requests of our download for files and history, read from the server and from our own scan."""
    from wandb_artifacts import RunRef, SweepRef
    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.queries import HISTORY_PAGE
    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._history.scan import HistorySource, scan

    def recorded(api: Api, run: RemoteRun, sent: list[tuple[int, int, int]]) -> HistorySource:
        async def page(first: int, end: int, samples: int) -> list[str]:
            sent.append((first, end, samples))
            return await api.page(run.ref, first, end, samples)

        return HistorySource(run.last_step, run.line_count, len(run.summary), page)

    requests: list[dict[str, Any]] = []
    async with await Api.open(None, jobs=CONNECTIONS) as api:
        if is_sweep:
            runs = [run async for _, page in api.runs(SweepRef.parse(path)) for run in page]
        else:
            runs = [await api.run(RunRef.parse(path))]
        for run in runs:
            sent: list[tuple[int, int, int]] = []

            async for _ in scan(recorded(api, run, sent), ahead=1):
                pass
            for first, end, samples in sent:
                variables: dict[str, object] = {"entity": "local", "project": "bench", "run": run.ref.id}
                variables |= {"minStep": first, "maxStep": end, "pageSize": samples}
                body = {"query": HISTORY_PAGE, "variables": variables}
                place = f"{run.ref.id}/metrics_history.json"
                requests.append({"url": f"{api.host}/graphql", "body": body, "path": place, "md5": None})
            for file in await api.files(run):
                md5 = base64.b64encode(file.md5 or b"").decode()
                requests.append({"url": file.url, "body": None, "path": f"{run.ref.id}/{file.name}", "md5": md5})
    return requests


def make_plan(folder: str, name: str, path: str, *, is_sweep: bool) -> Path:
    requests = asyncio.run(requests_of(path, is_sweep=is_sweep))
    plan = Path(folder, f"{name}.json")
    plan.write_text(json.dumps({"path": path, "is_sweep": is_sweep, "requests": requests}))
    return plan


def sweep_of(server: SlowServer, runs: int, rows: int) -> str:
    sweep = server.sweep()
    for number in range(runs):
        server.run(f"run{number}", {f"file{size}": os.urandom(size) for size in FILE_SIZES}, rows, sweep=sweep)
    return f"local/bench/{sweep}"


def main() -> int:
    sizes = arguments(
        __doc__,
        goal=1.3,
        runs=20,
        rows=2000,
        latency=0.05,
        rounds=3,
        times_faster=10.0,
        megabytes=1024,
        large_goal=1.11,
        large_rounds=2,
    )
    with tempfile.TemporaryDirectory() as folder, slow_devserver(f"{folder}/data") as server:
        plan = make_plan(folder, "sweep", sweep_of(server, sizes.runs, sizes.rows), is_sweep=True)
        server.run("large", {"large": os.urandom(sizes.megabytes * 1024 * 1024)}, 1)
        large = make_plan(folder, "large", "local/bench/large", is_sweep=False)

        server.slow_down(sizes.latency)
        what = f"a sweep of {sizes.runs} runs, against"
        many = in_turns(
            f"{what} an ideal client", lambda: measure("ours", plan), lambda: measure("ideal", plan), sizes.rounds
        )
        once = Rounds(f"{what} a loop over wandb.Api()", [measure("ours", plan)], [measure("loop", plan)])
        server.slow_down(0)
        what = f"a file of {sizes.megabytes} MB, against"
        one = in_turns(
            f"{what} an ideal client",
            lambda: measure("ours", large),
            lambda: measure("ideal", large),
            sizes.large_rounds,
        )
        careless = Rounds(f"{what} no verification", one.ours, [measure("careless", large) for _ in one.ours])
    figures = [
        many.figure("s", goal=sizes.goal),
        once.figure("s", goal=1 / sizes.times_faster),
        one.figure("s", goal=sizes.large_goal),
        careless.figure("s"),
    ]
    return report(figures, sizes.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        given = json.loads(Path(sys.argv[3]).read_text())
        print(ROLES[sys.argv[2]](given, sys.argv[4]))
    else:
        raise SystemExit(main())
