"""Takes the screenshots of wandb-devserver's pages from made-up runs.

    python scripts/devserver_screenshots.py

Needs Chromium, playwright and Pillow.
"""

import io
import json
import math
import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import sync_playwright
from wandb_devserver import DevServer

TARGET = Path(__file__).parent.parent / "libs/wandb-devserver/screenshots"
PROJECT = "digits"
STEPS = 600

GRAPHQL = {
    "run": "mutation UpsertBucket($input: UpsertBucketInput!) { upsertBucket(input: $input) { bucket { id } } }",
    "sweep": "mutation UpsertSweep($input: UpsertSweepInput!) { upsertSweep(input: $input) { sweep { name } } }",
}


class Writer:
    """Logs runs as the SDK does, without the time that training takes."""

    def __init__(self, server: DevServer) -> None:
        self.http = httpx.Client(base_url=server.url, auth=("api", server.api_key), timeout=60)
        self.random = random.Random(7)

    def send(self, operation: str, **given: Any) -> Any:
        response = self.http.post("/graphql", json={"query": GRAPHQL[operation], "variables": {"input": given}})
        return response.raise_for_status().json()["data"]

    def open(self, run: str, config: dict[str, Any], **fields: Any) -> None:
        wrapped = json.dumps({key: {"value": value} for key, value in config.items()})
        self.send("run", name=run, modelName=PROJECT, displayName=run, config=wrapped, **fields)

    def stream(self, run: str, files: dict[str, list[Any]], **message: Any) -> None:
        lines = {
            name: [line if isinstance(line, str) else json.dumps(line) for line in rows] for name, rows in files.items()
        }
        content = {name: {"offset": 0, "content": rows} for name, rows in lines.items()}
        self.http.post(
            f"/files/local/{PROJECT}/{run}/file_stream", json={"files": content, **message}
        ).raise_for_status()

    def train(self, run: str, learning_rate: float, **message: Any) -> None:
        started, speed = time.time() - STEPS, 60 + 40 * abs(math.log10(learning_rate) + 2)
        rows = [self.row(step, speed, started) for step in range(STEPS)]
        last = {key: value for key, value in rows[-1].items() if key.startswith(("train", "val"))}
        console = [self.line(row) for row in rows[::10]]
        events = [
            {
                "_timestamp": started + 5 * n,
                "system.cpu": 60 + 9 * self.random.random(),
                "system.memory_percent": 31 + n / 20,
            }
            for n in range(STEPS // 5)
        ]
        files: dict[str, list[Any]] = {"wandb-history.jsonl": rows, "wandb-events.jsonl": events, "output.log": console}
        self.stream(run, {**files, "wandb-summary.json": [last]}, **message)

    def row(self, step: int, speed: float, started: float) -> dict[str, Any]:
        loss = 2.2 * math.exp(-step / speed) + 0.08 + 0.05 * self.random.random()
        row: dict[str, Any] = {
            "_step": step,
            "_timestamp": started + step,
            "train/loss": loss,
            "train/accuracy": math.exp(-loss / 2),
        }
        if step % 20 == 19:
            width = 3 / (1 + step / 100)
            counts = [round(900 * math.exp(-((((cell - 15) * 0.4) / width) ** 2))) for cell in range(30)]
            weights = {"_type": "histogram", "values": counts, "bins": [(cell - 15) * 0.4 for cell in range(31)]}
            row |= {"val/loss": loss * 1.15, "val/accuracy": math.exp(-loss / 1.7), "weights": weights}
        return row

    def line(self, row: dict[str, Any]) -> str:
        return f"2026-11-27T12:00:00 \x1b[36mstep {row['_step']:4}\x1b[0m loss \x1b[1m{row['train/loss']:.4f}\x1b[0m"


def fill(server: DevServer) -> str:
    """Log a group of runs and a sweep; return the sweep."""
    writer = Writer(server)
    for number, learning_rate in enumerate((0.03, 0.01, 0.004, 0.001)):
        config = {"learning_rate": learning_rate, "model": "linear", "optimizer": {"name": "sgd", "momentum": 0.9}}
        flyte = {"attempt": 0, "url": "https://flyte.example/console"}
        writer.open(f"sgd-{number}", {**config, "flyte": flyte}, groupName="sgd", jobType="train", tags=["baseline"])
        writer.train(f"sgd-{number}", learning_rate, **({} if number == 3 else {"complete": True, "exitcode": 0}))
    parameters = {
        "learning_rate": {"distribution": "log_uniform_values", "min": 0.0001, "max": 0.5},
        "penalty": {"values": ["l1", "l2"]},
        "layers": {"values": [1, 2, 3]},
    }
    config = {"method": "random", "name": "Search", "metric": {"name": "val/loss"}, "parameters": parameters}
    sweep = str(writer.send("sweep", config=json.dumps(config), projectName=PROJECT)["upsertSweep"]["sweep"]["name"])
    for number in range(24):
        chosen: dict[str, Any] = {
            "learning_rate": 10 ** writer.random.uniform(-4, -0.3),
            "penalty": writer.random.choice(["l1", "l2"]),
        }
        layers = writer.random.choice([1, 2, 3])
        loss = (
            0.2 + abs(math.log10(chosen["learning_rate"]) + 2) * 0.5 + 0.2 * (chosen["penalty"] == "l1") + 0.1 / layers
        )
        writer.open(f"trial-{number + 1}", {**chosen, "layers": layers}, sweep=sweep)
        summary = {"val/loss": loss + 0.1 * writer.random.random()}
        writer.stream(f"trial-{number + 1}", {"wandb-summary.json": [summary]}, complete=True, exitcode=0)
    return sweep


def main() -> int:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        print("needs Chromium")
        return 1
    TARGET.mkdir(exist_ok=True)
    with DevServer() as server, sync_playwright() as playwright:
        sweep = fill(server)
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(server.sign_in_url())
        page.wait_for_url(f"{server.url}/")
        base = f"{server.url}/local/{PROJECT}"

        def take(name: str, section: str = "h1") -> None:
            page.wait_for_selector(".chart[data-drawn]")
            page.locator(section).first.evaluate("element => element.scrollIntoView()")
            page.wait_for_timeout(1500)
            # A palette makes the files a third as large.
            Image.open(io.BytesIO(page.screenshot())).quantize(128).save(TARGET / f"{name}.png", optimize=True)

        page.goto(base)
        for number in range(4):
            page.get_by_role("checkbox", name=f"Compare sgd-{number}").check()
        page.get_by_role("searchbox", name="Filter runs").fill("sgd")
        take("project")
        page.goto(f"{base}/runs/sgd-3")
        take("run")
        take("run-media", "#media")
        page.goto(f"{base}/groups/sgd")
        take("group")
        page.goto(f"{base}/sweeps/{sweep}")
        take("sweep")
        page.emulate_media(color_scheme="dark")
        page.goto(f"{base}/runs/sgd-3")
        take("run-dark")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
