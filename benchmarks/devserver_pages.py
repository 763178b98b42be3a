"""Time until a page of wandb-devserver shows something, and bytes that it takes.

    python benchmarks/devserver_pages.py [--rows 200000] [--metrics 10] [--runs 1000]

Goals: the first chart of a run page within 1 s and 1 MB; the data of a project page within 0.5 s. Needs Chromium and
playwright, and reports it if they are missing. The server runs in a separate process.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from paired import devserver

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
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--goal", type=float, default=1.0, help="multiplies all goals")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, devserver(Path(folder) / "data") as (_, variables):
        url, key = variables["WANDB_BASE_URL"], variables["WANDB_API_KEY"]
        with httpx.Client(base_url=url, auth=("api", key), timeout=60) as http:
            started = time.monotonic()
            open_run(http, "long", "run", {})
            log_rows(http, "long/run", given.rows, given.metrics)
            print(f"{given.rows} rows of {given.metrics} metrics stored in {time.monotonic() - started:.1f} s")
            fill_project(http, given.runs)
            # Pages take a session, not the key.
            http.post("/-/sign-in", data={"key": key})
            results = [("data of the project page", fastest(http, "/-/data/project/local/many"), 0.5, "s")]
            keys = "&".join(f"key=m{number}" for number in range(given.metrics))
            print(f"series of all metrics: {fastest(http, f'/-/data/series/local/long?run=run&{keys}'):.3f} s")
            print(f"data of the run page: {fastest(http, '/-/data/run/local/long/run'):.3f} s")
        first_chart = measure_first_chart(url, key)
        if first_chart:
            results += [("first chart", first_chart[0], 1.0, "s"), ("bytes sent", first_chart[1] / 1e6, 1.0, "MB")]
    for name, value, goal, unit in results:
        verdict = "met" if value <= goal * given.goal else "missed"
        print(f"{verdict}: {name} {value:.3f} {unit}, goal at most {goal:g} {unit}")
    return int(any(value > goal * given.goal for _, value, goal, _ in results))


if __name__ == "__main__":
    sys.exit(main())
