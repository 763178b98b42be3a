"""Time until a page of wandb-devserver shows something, and bytes that it takes.

    hatch run bench:run benchmarks/devserver_pages.py [--rows N] [--metrics N] [--runs N] [--goal G]

Goals: the first chart of a run page within 1 s and 1 MB; the data of a project page within 0.5 s;
`--goal` multiplies them all. The first needs Chromium and playwright, and is not measured without them. The server runs
in a separate process.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from figures import Figure, report
from paired import arguments, devserver

UPSERT = """
mutation UpsertBucket($input: UpsertBucketInput!) { upsertBucket(input: $input) { bucket { id } } }
"""
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync")
BATCH = 2000


def open_run(http: httpx.Client, project: str, name: str, config: dict[str, Any]) -> None:
    wrapped = json.dumps({key: {"value": value} for key, value in config.items()})
    given = {"name": name, "modelName": project, "config": wrapped}
    http.post("/graphql", json={"query": UPSERT, "variables": {"input": given}}).raise_for_status()


def log_rows(http: httpx.Client, run: str, rows: int, metrics: int) -> None:
    for first in range(0, rows, BATCH):
        lines = [
            json.dumps(
                {"_step": step, "_timestamp": 1e9 + step, **{f"m{n}": math.sin(step / (n + 9)) for n in range(metrics)}}
            )
            for step in range(first, min(first + BATCH, rows))
        ]
        message = {"files": {"wandb-history.jsonl": {"offset": first, "content": lines}}}
        http.post(f"/files/local/{run}/file_stream", json=message).raise_for_status()


def fill_project(http: httpx.Client, runs: int) -> None:
    for number in range(runs):
        open_run(http, "many", f"r{number}", {f"parameter{key}": number * key for key in range(20)})
        summary = json.dumps({f"metric{key}": number / (key + 1) for key in range(20)})
        message = {
            "files": {"wandb-summary.json": {"offset": 0, "content": [summary]}},
            "complete": True,
            "exitcode": 0,
        }
        http.post(f"/files/local/many/r{number}/file_stream", json=message).raise_for_status()


def fastest(http: httpx.Client, path: str, rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        started = time.monotonic()
        http.get(path).raise_for_status()
        times.append(time.monotonic() - started)
    return min(times)


def measure_first_chart(url: str, key: str) -> tuple[float, int] | None:
    """Return seconds from the navigation to the first drawn chart, and the bytes sent until the page is quiet."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        executable = None
    if executable is None:
        print("not measured: the run page, which needs Chromium and playwright")
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        page = browser.new_page()
        page.goto(f"{url}/-/sign-in")
        page.fill("#key", key)
        page.click("button.primary")
        page.wait_for_selector("#projects")
        session, received = page.context.new_cdp_session(page), [0]
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        session.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
        started = time.monotonic()
        page.goto(f"{url}/local/long/runs/run", wait_until="commit")
        page.wait_for_selector(".chart[data-drawn]")
        taken = time.monotonic() - started
        page.wait_for_timeout(1500)
        browser.close()
    return taken, sum(received)


def main() -> int:
    sizes = arguments(__doc__, goal=1.0, rows=200_000, metrics=10, runs=1000)
    with tempfile.TemporaryDirectory() as folder, devserver(Path(folder) / "data") as (_, variables):
        url, key = variables["WANDB_BASE_URL"], variables["WANDB_API_KEY"]
        with httpx.Client(base_url=url, auth=("api", key), timeout=60) as http:
            started = time.monotonic()
            open_run(http, "long", "run", {})
            log_rows(http, "long/run", sizes.rows, sizes.metrics)
            print(f"{sizes.rows} rows of {sizes.metrics} metrics stored in {time.monotonic() - started:.1f} s")
            fill_project(http, sizes.runs)
            # Pages take a session, not the key.
            http.post("/-/sign-in", data={"key": key})
            project = fastest(http, "/-/data/project/local/many")
            keys = "&".join(f"key=m{number}" for number in range(sizes.metrics))
            series = fastest(http, f"/-/data/series/local/long?run=run&{keys}")
            run = fastest(http, "/-/data/run/local/long/run")
        first_chart = measure_first_chart(url, key)
    figures = [
        Figure(f"data of the project page, {sizes.runs} runs", project, "s", goal=0.5 * sizes.goal),
        Figure(f"series of {sizes.metrics} metrics, {sizes.rows} rows", series, "s"),
        Figure("data of the run page", run, "s"),
    ]
    if first_chart:
        figures.append(Figure("first chart of the run page", first_chart[0], "s", goal=1.0 * sizes.goal))
        figures.append(Figure("bytes sent for the run page", first_chart[1] / 1e6, "MB", goal=1.0 * sizes.goal))
    return report(figures, sizes.json)


if __name__ == "__main__":
    sys.exit(main())
