"""Pages for people."""

from __future__ import annotations

import json
import math

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb_devserver._pages.charts import HEIGHT, WIDTH, charts

from tests.wandb_devserver.support import RawClient

NESTED = {"net": {"parameters": {"depth": {"value": 7}}}, "lr": {"values": [0.5, 1]}}


def test_a_run_page_shows_what_matters(raw: RawClient) -> None:
    """State, exit code, configuration, summary, a chart, console, labels; linked from the project and the index."""
    raw.open_run("r", displayName="Nice run", config='{"lr": {"value": 0.25}}', tags=["tagged"], notes="noted")
    raw.stream_rows(*({"_step": step, "loss": 1 / (step + 1)} for step in range(5)))
    raw.stream({"files": {"output.log": {"offset": 0, "content": ["2024-05-01T10:00:00 printed"]}}})
    raw.stream({"files": {"wandb-summary.json": {"offset": 0, "content": ['{"loss": 0.2}']}}})
    raw.stream({"complete": True, "exitcode": 3})
    page = raw.http.get("/local/p/runs/r").text

    for part in ("Nice run", "failed", "exit code 3", "lr", "0.25", "0.2", "tagged", "noted", ">printed<", "<polyline"):
        assert part in page
    assert 'href="/local/p/runs/r"' in raw.http.get("/local/p").text
    assert 'href="/local/p"' in raw.http.get("/").text


def test_sweep_pages_show_what_matters(raw: RawClient) -> None:
    """State, configuration, trials with their parameters and metric, agents; linked from project and runs."""
    config = {"method": "grid", "name": "My sweep", "metric": {"name": "loss"}, "parameters": NESTED, "run_cap": 9}
    sweep = raw.sweep(config)
    page = f"/local/p/sweeps/{sweep.name}"
    assert f"wandb agent local/p/{sweep.name}" in raw.http.get(page).text
    agent = sweep.agent("my-host")
    run = agent.start()
    raw.stream({"files": {"wandb-summary.json": {"offset": 0, "content": ['{"loss": 0.25}']}}}, f"local/p/{run}")
    text = raw.http.get(page).text
    (record,) = raw.server.sweeps("local/p")

    assert raw.http.get(record.url).text == text
    for part in ("My sweep", "running", "minimize loss", "net.depth", ">7<", ">0.25<", "my-host", record.agents[0].id):
        assert part in text
    assert f'href="/local/p/runs/{run}"' in text
    assert f'href="{page}"' in raw.http.get(f"/local/p/runs/{run}").text
    assert f'href="{page}"' in raw.http.get("/local/p/sweeps").text
    assert 'href="/local/p/sweeps"' in raw.http.get("/local/p").text


def test_what_runs_say_is_text(raw: RawClient) -> None:
    """Markup in names, notes, console, values and keys is shown, not obeyed; scripts are forbidden besides."""
    evil = "<script>alert(1)</script>"
    config = json.dumps({evil: {"value": evil}})
    raw.open_run("r", displayName=evil, notes=evil, tags=[evil], groupName=evil, config=config)
    raw.stream_rows({"_step": 0, evil: 1})
    raw.stream({"files": {"output.log": {"offset": 0, "content": [evil]}}})
    sweep = raw.sweep(
        {"method": "grid", "name": evil, "metric": {"name": evil}, "parameters": {evil: {"value": evil}}},
        description=evil,
    )
    sweep.agent(evil).start()
    for path in ("/local/p/runs/r", "/local/p", "/local/p/sweeps", f"/local/p/sweeps/{sweep.name}"):
        response = raw.http.get(path)

        assert "<script" not in response.text
        assert "default-src 'none'" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/local/p", "/local/p/runs/r", "/local/<b>/runs/r", "/local/p/sweeps", "/local/p/sweeps/<b>"]
)
def test_a_missing_page_says_so(raw: RawClient, path: str) -> None:
    """404, with a way back."""
    response = raw.http.get(path)

    assert response.status_code == 404
    assert 'href="/"' in response.text
    assert "<b>" not in response.text


def test_the_url_that_the_sdk_prints_is_the_page(raw: RawClient) -> None:
    """The read side gives it too, quoted."""
    raw.open_run("a b", project="my project")
    url = raw.server.run("local/my project/a b").url

    assert " " not in url
    assert raw.http.get(url).status_code == 200
    assert httpx.get(url).status_code == 401


@given(
    st.lists(
        st.fixed_dictionaries(
            {"_step": st.integers(0, 10**6)},
            optional={"a": st.floats() | st.integers() | st.booleans() | st.text(), "b": st.floats()},
        )
    )
)
def test_charts_stay_in_the_picture(rows: list[dict[str, float]]) -> None:
    """Whatever numbers were logged."""
    for chart in charts(rows):  # type: ignore[arg-type]
        for point in chart.points.split():
            x, y = (float(part) for part in point.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
        assert math.isfinite(chart.last)
