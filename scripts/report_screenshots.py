"""Takes the screenshots of the tabs in Flyte's reports: of a run and of a sweep.

    python scripts/report_screenshots.py

Trains in Flyte's local mode, against a devserver. Needs Chromium, playwright and Pillow.
"""

import io
import os
import shutil
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import flyte
import numpy as np
from flyteplugins.wandb import (
    fan_out_sweep_trials,
    get_wandb_run,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from wandb_devserver import DevServer

TARGET = Path(__file__).parent.parent / "docs/images"

env = flyte.TaskEnvironment(name="digits")


@wandb_init(tags=["baseline"], log_inputs=True)
@env.task(report=True)
async def train(learning_rate: float, penalty: str = "l2", alpha: float = 1e-4, epochs: int = 60) -> None:
    run = get_wandb_run(required=True)
    images, labels = load_digits(return_X_y=True)
    train_x, val_x, train_y, val_y = train_test_split(images / 16, labels, test_size=0.3, random_state=0)
    model = SGDClassifier(loss="log_loss", penalty=penalty, alpha=alpha, learning_rate="constant", random_state=0)
    for epoch in range(epochs):
        model.set_params(eta0=learning_rate * 0.96**epoch)
        model.partial_fit(train_x, train_y, classes=range(10))
        row: dict[str, float] = {"learning rate": model.eta0, "weights": float(np.linalg.norm(model.coef_))}
        for name, x, y in (("train", train_x, train_y), ("val", val_x, val_y)):
            row[f"{name}/loss"] = float(log_loss(y, model.predict_proba(x), labels=range(10)))
            row[f"{name}/accuracy"] = float(model.score(x, y))
        run.log(row)


@wandb_sweep
@env.task(report=True)
async def search(num_trials: int) -> None:
    await fan_out_sweep_trials(train, num_trials=num_trials, max_parallel=1)


SWEEP = wandb_sweep_config(
    name="digits-search",
    method="random",
    metric={"name": "val/loss", "goal": "minimize"},
    parameters={
        "learning_rate": {"distribution": "log_uniform_values", "min": 0.0005, "max": 0.5},
        "alpha": {"distribution": "log_uniform_values", "min": 0.00001, "max": 0.01},
        "penalty": {"values": ["l1", "l2", "elasticnet"]},
        "epochs": {"values": [2, 4, 8]},
    },
)


def report_of(task: Any, **given: Any) -> Path:
    """Run a task and return the file of its report."""
    name = f"r{uuid.uuid4().hex[:12]}"
    context = {**wandb_config(project="digits"), **SWEEP}
    flyte.with_runcontext(mode="local", name=name, custom_context=context).run(task, **given)
    # Flyte has no other way to read a report of its local mode. That of the task comes last, after those of its trials.
    return max(Path("/tmp/flyte/metadata", name).rglob("report.html"), key=lambda file: file.stat().st_mtime)


def take(browser: Browser, file: Path, name: str) -> None:
    """Write the picture of a report; a palette makes it smaller."""
    page = browser.new_page(viewport={"width": 1240, "height": 600}, device_scale_factor=1.5)
    page.route("https://**", lambda route: route.abort())
    page.goto(file.as_uri())
    page.wait_for_function("document.querySelectorAll('.wandb-report .chart:not([data-drawn])').length === 0")
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    picture = picture.quantize(256, method=Image.Quantize.FASTOCTREE)
    picture.save(TARGET / f"flyte-report-{name}.png", optimize=True)
    page.close()


def main() -> int:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        print("needs Chromium")
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    with DevServer() as server, tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ.update(server.env, WANDB_DIR=folder, WANDB_SILENT="true")
        flyte.init()
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        take(browser, report_of(train, learning_rate=0.02), "run")
        take(browser, report_of(search, num_trials=16), "sweep")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
