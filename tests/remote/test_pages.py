"""Pages of the examples, opened from the links that Flyte's platform shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flyteplugins.wandb import wandb_config, wandb_sweep_config

from tests.remote.support import link_of
from tests.remote.test_sweeps import sweep_link_of
from tests.support.browser import Tab, chart, chromium, colours_in, open_tab
from tests.support.control_plane.driver import completion
from tests.support.control_plane.plane import ControlPlane
from tests.support.sdk_settings import LIGHT_RUNS, SKLEARN_AT_START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb_devserver import DevServer

    from tests.support.object_store import ObjectStore

__all__ = ["chromium"]

EXAMPLES = Path(__file__).parents[2] / "examples"
PARAMETERS = {"learning_rate": {"values": [0.03, 0.003]}, "penalty": {"values": ["l1", "l2"]}}


@pytest.fixture
def tab(chromium: Any, wandb_devserver: DevServer) -> Iterator[Tab]:
    with open_tab(chromium, wandb_devserver) as opened:
        yield opened


@pytest.fixture
def examples(tab: Tab, tmp_path: Path, object_store: ObjectStore, wandb_devserver: DevServer) -> Iterator[ControlPlane]:
    """A control plane for the examples; after `tab`, so that nothing runs where no browser can look at it."""
    driver_env = {"WANDB_BASE_URL": wandb_devserver.url}
    env = {"WANDB_BASE_URL": wandb_devserver.url, **LIGHT_RUNS, **SKLEARN_AT_START}
    secrets = {"wandb-api-key": wandb_devserver.api_key}
    folder = tmp_path / "flyte"
    with ControlPlane(
        folder, env=env, driver_env=driver_env, secrets=secrets, store=object_store, root=EXAMPLES
    ) as plane:
        yield plane


def test_link_of_the_quickstart_opens_its_charts(examples: ControlPlane, tab: Tab) -> None:
    """The page links to the group with the baseline."""
    context = wandb_config(project="quickstart", entity="local")
    flyte_run = examples.run("quickstart:train", context=context, timeout=100)
    page = tab.open(link_of(flyte_run.root))
    box = chart(page, "train/loss")

    assert colours_in(box) > 5
    assert "12 points" in box.get_attribute("aria-label")
    page.get_by_role("link", name=flyte_run.name).click()
    page.wait_for_selector("#runs >> text=baseline")


def test_link_of_the_sweep_opens_its_trials(examples: ControlPlane, tab: Tab) -> None:
    """The link leads to the project's sweeps, and from there to the trials."""
    config = wandb_sweep_config(
        method="grid", metric={"name": "loss", "goal": "minimize"}, parameters=PARAMETERS, run_cap=4
    )
    context = {**wandb_config(project="sweep", entity="local"), **config}
    flyte_run = examples.run("sweep:search", context=context, then=completion, timeout=110)
    page = tab.open(sweep_link_of(flyte_run.root))
    page.locator("#sweeps tbody a").click()
    page.wait_for_selector("#parallel .chart[data-drawn]")

    assert colours_in(page.locator("#parallel .chart")) > 5
    assert page.locator("#leaderboard tbody tr").count() == 4
