"""Pages in a browser: drawing, live updates, controls."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import chart, colours_in
from tests.wandb_devserver.support import UPSERT

if TYPE_CHECKING:
    from tests.support.browser import Tab
    from tests.wandb_devserver.support import RawClient, Scripts

# Roles whose elements a screen reader announces by name.
NAMED = {
    *("application", "button", "checkbox", "combobox", "image", "img", "link", "log", "region", "searchbox", "slider"),
    *("table", "textbox", "Iframe"),
}


def log(raw: RawClient, run: str, first: int, end: int, scale: float = 1.0) -> None:
    rows = [{"_step": step, "_timestamp": 1e9 + step, "loss": scale / (step + 1)} for step in range(first, end)]
    raw.stream_rows(*rows, offset=first, run=f"local/p/{run}")


def summarize(raw: RawClient, run: str, **values: object) -> None:
    raw.stream({"files": {"wandb-summary.json": {"offset": 0, "content": [json.dumps(values)]}}}, f"local/p/{run}")


def nameless(page: Any) -> list[str]:
    """Return the controls of a page that the accessibility tree has without a name."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in tree if not node["ignored"] and node.get("role", {}).get("value") in NAMED]
    assert shown
    return [str(node) for node in shown if not node.get("name", {}).get("value", "").strip()]


def test_sign_in_link_opens_the_start_page(tab: Tab) -> None:
    """Once: the page signs in by the code in its URL."""
    tab.page.context.clear_cookies()
    link = tab.server.sign_in_url()
    tab.page.goto(link)
    tab.page.wait_for_url(f"{tab.server.url}/")
    tab.page.context.clear_cookies()
    tab.page.goto("about:blank")
    tab.page.goto(link)
    tab.page.wait_for_selector("text=a sign-in link that was used already")


def test_run_page_draws_its_charts(tab: Tab, raw: RawClient) -> None:
    """Pixels, a hover text, keys, a name for every control."""
    raw.open_run("r", config=json.dumps({"lr": {"value": 0.25}}))
    log(raw, "r", 0, 50)
    page = tab.open("/local/p/runs/r")
    box = chart(page, "loss")

    assert colours_in(box) > 5
    assert "50 points, last 0.02, from 0.02 to 1" in box.get_attribute("aria-label")
    box.hover()
    page.wait_for_selector(".hover >> text=Step")
    assert "loss" not in page.locator(".hover").inner_text()  # the chart's title has the metric; rows name the run
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=/Step 0, .*: 1$/", state="attached")
    assert nameless(page) == []


def test_chart_of_a_live_run_grows(tab: Tab, raw: RawClient) -> None:
    """New metrics, the summary, the console and the state update without a reload too."""
    raw.open_run("r")
    log(raw, "r", 0, 10)
    page = tab.open("/local/p/runs/r")
    chart(page, "loss")
    page.evaluate("window.kept = true")
    log(raw, "r", 10, 25)
    raw.stream_rows({"_step": 25, "late": 1.0}, offset=25)
    raw.stream({"files": {"output.log": {"offset": 0, "content": ["2024-05-01T10:00:00 \x1b[31mred\x1b[0m words"]}}})
    summarize(raw, "r", best=0.125)
    page.wait_for_selector('[data-key="loss"] .chart[aria-label*="25 points"]')
    chart(page, "late")
    page.wait_for_selector("#summary >> text=0.125")
    page.wait_for_selector("#console .ansi-1 >> text=red")
    raw.stream({"complete": True, "exitcode": 3})
    page.wait_for_selector("h1 >> text=exit code 3")

    assert page.evaluate("window.kept")


def test_zoom_loads_every_row_of_the_range(tab: Tab, raw: RawClient) -> None:
    """The test uses the keyboard; a drag with the mouse does the same."""
    raw.open_run("r")
    for first in range(0, 6000, 1000):
        log(raw, "r", first, first + 1000)
    page = tab.open("/local/p/runs/r")
    box = chart(page, "loss")
    box.focus()
    with page.expect_response(lambda response: "from=" in response.url) as zoomed:
        for _ in range(4):
            page.keyboard.press("+")
    (found,) = [series["loss"] for series in zoomed.value.json().values()]

    assert found["count"] == len(found["steps"]) < 800


def test_all_metrics_are_reachable(tab: Tab, raw: RawClient) -> None:
    """Charts are drawn as they come into view; a search finds one of many."""
    raw.open_run("r")
    raw.stream_rows(*({"_step": step, **{f"metric{number}": step for number in range(80)}} for step in range(3)))
    page = tab.open("/local/p/runs/r")
    chart(page, "metric0")

    assert page.locator(".chart-card").count() == 80
    assert page.locator(".chart[data-drawn]").count() < 60
    page.get_by_role("searchbox", name="Search metrics").fill("metric79")
    chart(page, "metric79")
    assert page.locator(".chart-card:visible").count() == 1


def test_project_page_filters_sorts_groups_and_compares(tab: Tab, raw: RawClient) -> None:
    """The choice stays when the data change."""
    for number, name in enumerate(("ant", "bee", "cat")):
        raw.open_run(name, displayName=name, groupName="even" if number % 2 == 0 else "odd")
        log(raw, name, 0, 20, scale=number + 1)
        summarize(raw, name, loss=float(3 - number))
    page = tab.open("/local/p")
    names = page.locator("#runs tbody tr td:nth-child(2)")
    page.wait_for_selector("text=3 runs")

    assert names.all_inner_texts() == ["cat", "bee", "ant"]
    page.get_by_role("button", name="loss").click()
    assert names.all_inner_texts() == ["ant", "bee", "cat"]
    page.get_by_role("searchbox", name="Filter runs").fill("odd")
    assert names.all_inner_texts() == ["bee"]
    page.get_by_role("searchbox", name="Filter runs").fill("")
    page.get_by_role("checkbox", name="Compare ant").check()
    page.get_by_role("checkbox", name="Compare cat").check()
    page.wait_for_selector('[data-key="loss"] .chart[aria-label*="cat: 20 points"]')
    box = chart(page, "loss")
    assert "ant: 20 points" in box.get_attribute("aria-label")
    box.hover()
    page.wait_for_selector(".hover >> text=ant")
    page.get_by_label("Group by").select_option("group")
    assert page.locator("tr.group").all_inner_texts() == ["▾ even 2", "▾ odd 1"]
    page.get_by_role("button", name="▾ even 2").click()
    assert names.all_inner_texts() == ["bee"]
    assert nameless(page) == []


def test_group_page_shows_mean_and_band(tab: Tab, raw: RawClient) -> None:
    """The hover text gives mean, lowest and highest."""
    for name, scale in (("a", 1.0), ("b", 3.0)):
        raw.open_run(name, groupName="g/1")
        log(raw, name, 0, 5, scale)
    page = tab.open("/local/p/groups/g%2F1")
    chart(page, "loss").hover()
    page.wait_for_selector(".hover >> text=mean of 2 runs")

    assert nameless(page) == []


def test_sweep_page_draws_its_trials(tab: Tab, raw: RawClient) -> None:
    """Parallel coordinates, trials, importance; the leaderboard begins with the best."""
    parameters = {"lr": {"values": [0.001, 0.01, 0.1, 1.0]}, "kind": {"value": "l1"}}
    sweep = raw.sweep({"method": "grid", "metric": {"name": "loss"}, "parameters": parameters})
    agent = sweep.agent()
    for _ in range(4):
        run = agent.start()
        learning_rate = raw.server.run(f"local/p/{run}").config["lr"]
        assert isinstance(learning_rate, float)
        summarize(raw, run, loss=abs(math.log10(learning_rate) + 2))
        agent.end(run)
    page = tab.open(f"/local/p/sweeps/{sweep.name}")
    page.wait_for_selector("#parallel .chart[data-drawn]")

    for name in ("parallel", "trials", "importance"):
        assert colours_in(page.locator(f"#{name} .chart")) > 3
    assert "4 trials: kind, lr, loss" in page.locator("#parallel .chart").get_attribute("aria-label")
    page.wait_for_selector("#leaderboard tbody tr:first-child >> text=0.01")
    page.wait_for_selector("text=/Best: .* with loss 0/")
    assert nameless(page) == []


def test_run_page_shows_media(tab: Tab, raw: RawClient) -> None:
    """Histograms over steps, a sorted table, an image, HTML in a frame without scripts."""
    raw.open_run("r")
    raw.upload(
        "media/t.table.json", json.dumps({"columns": ["n", "x"], "data": [[n, -n] for n in range(250)]}).encode()
    )
    raw.upload(
        "media/i.svg",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    )
    raw.upload(
        "media/h.html", b"<h1>Heading</h1><script>parent.postMessage('ran', '*'); document.title = 'ran'</script>"
    )
    histogram = {"_type": "histogram", "values": [1, 2], "bins": [0, 1, 2]}
    raw.stream_rows(
        {"_step": 0, "weights": histogram},
        {
            "_step": 1,
            "weights": {"_type": "histogram", "values": [5, 1], "packedBins": {"min": 0, "size": 2, "count": 2}},
        },
        {"_step": 2, "table": {"_type": "table-file", "path": "media/t.table.json"}},
        {"_step": 3, "pictures": {"_type": "images/separated", "filenames": ["media/i.svg"], "captions": ["A square"]}},
        {"_step": 4, "page": {"_type": "html-file", "path": "media/h.html"}},
    )
    page = tab.open("/local/p/runs/r")
    page.wait_for_selector('[data-key="weights"] .chart[aria-label*="2 histograms"]')
    page.get_by_role("button", name="x", exact=True).click()
    page.wait_for_selector('[data-key="table"] tbody tr:first-child >> text="-249"')
    page.get_by_role("button", name="Next rows").click()
    page.wait_for_selector("text=rows 101 to 200 of 250 rows")
    image = page.get_by_role("img", name="A square")
    image.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth === 9", arg=image.element_handle())
    page.locator("iframe").scroll_into_view_if_needed()
    frame = page.frame_locator("iframe")

    assert frame.get_by_role("heading").inner_text() == "Heading"
    # The browser reports scripts that it refused.
    page.wait_for_timeout(200)
    assert all("sandboxed" in problem for problem in tab.problems)
    tab.problems.clear()
    assert nameless(page) == []


LOG_MEDIA = """
from PIL import Image
with wandb.init(project="p", id="r") as run:
    for step in range(2):
        run.log({
            "table": wandb.Table(columns=["n", "x"], data=[[n, -n] for n in range(3)]),
            "weights": wandb.Histogram(np_histogram=([1, 2 + step], [0, 1, 2])),
            "page": wandb.Html(f"<h1>Heading {step}</h1>"),
            "pictures": [wandb.Image(Image.new("RGB", (9, 9)), caption="A square")],
        })
"""


def test_media_of_the_sdk_has_a_slider_over_steps(tab: Tab, scripts: Scripts) -> None:
    """The slider of a key shows the values of earlier steps."""
    scripts.run(LOG_MEDIA)
    page = tab.open("/local/p/runs/r")
    page.wait_for_selector('[data-key="weights"] .chart[aria-label*="2 histograms"]')
    page.wait_for_selector('[data-key="table"] tbody tr >> text="-2"')
    image = page.get_by_role("img", name="A square")
    image.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth === 9", arg=image.element_handle())
    page.locator("iframe").scroll_into_view_if_needed()

    assert page.frame_locator("iframe").get_by_role("heading").inner_text() == "Heading 1"
    page.get_by_role("slider", name="Step of page").fill("0")
    page.frame_locator("iframe").get_by_role("heading", name="Heading 0").wait_for()
    assert nameless(page) == []
    # wandb.Html adds a stylesheet of W&B's app, which the frame may not load.
    assert [text for text in tab.problems if "sandboxed" not in text and "/normalize.css" not in text] == []
    tab.problems.clear()


LOG_VERSIONS = """
for version, name in enumerate(("first", "second")):
    with wandb.init(project="p", name=name) as run:
        artifact = wandb.Artifact("model", "weights", metadata={"loss": 0.5 - version / 4})
        with artifact.new_file("model.txt") as stream:
            stream.write("contents" * (version + 1))
        run.log_artifact(artifact, aliases=["best"]).wait()
with wandb.init(project="p", name="user") as run:
    run.use_artifact("model:v0")
"""


def test_artifact_page_shows_versions_files_and_lineage(tab: Tab, scripts: Scripts) -> None:
    """The project page links to it; a version links to the runs that logged and used it."""
    scripts.run(LOG_VERSIONS)
    page = tab.open("/local/p")
    page.get_by_role("link", name="1 artifact").click()
    page.get_by_role("link", name="model", exact=True).click()
    page.wait_for_selector("h1 >> text=model:v1")

    assert page.locator("h1 .badge").all_inner_texts() == ["latest", "best"]
    assert page.locator("#files tbody tr").all_inner_texts() == ["model.txt\t16 B"]
    assert page.locator("#metadata .leaf").all_inner_texts() == ["loss\n0.25"]
    page.locator("#versions").get_by_role("link", name="model:v0").click()
    page.wait_for_selector("h1 >> text=model:v0")
    assert page.locator("#lineage li").all_inner_texts() == ["Logged by first finished", "Used by user finished"]
    with page.expect_download() as download:
        page.get_by_role("link", name="model.txt").click()
    assert download.value.path().read_text() == "contents"
    assert nameless(page) == []
    page.locator("#lineage").get_by_role("link").last.click()
    page.wait_for_selector("#artifacts >> text=model:v0")


HOSTILE = """<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'`{{7*7}}"""


def test_hostile_run_executes_nothing(tab: Tab, raw: RawClient) -> None:
    """Names, configuration, keys, console, tables, captions and file names are shown as text."""
    config = json.dumps({HOSTILE: {"value": {HOSTILE: HOSTILE}}, "__proto__": {"value": {"hacked": 1}}})
    texts: dict[str, Any] = dict.fromkeys(("displayName", "notes", "groupName", "host"), HOSTILE)
    # At W&B's limit of 64 characters.
    texts |= {"tags": [HOSTILE[:64]], "jobType": HOSTILE[:64]}
    raw.data(UPSERT, input={"name": "r", "modelName": "p", "config": config, **texts})
    raw.upload(
        f"media/{HOSTILE.replace('/', '')}.table.json", json.dumps({"columns": [HOSTILE], "data": [[HOSTILE]]}).encode()
    )
    raw.upload("media/x.html", f"<body onload='parent.hacked=1; top.hacked=1'>{HOSTILE}</body>".encode())
    raw.stream_rows(
        {"_step": 0, HOSTILE: 1, f"a/{HOSTILE}": 2, "__proto__": 3, "constructor": 4},
        {
            "_step": 1,
            f"table{HOSTILE}": {"_type": "table-file", "path": f"media/{HOSTILE.replace('/', '')}.table.json"},
            "html": {"_type": "html-file", "path": "media/x.html"},
            "image": {"_type": "image-file", "path": "javascript:alert(1)", "caption": HOSTILE},
            "odd": {"_type": HOSTILE, "path": HOSTILE},
        },
    )
    raw.stream({"files": {"output.log": {"offset": 0, "content": [f"2024-05-01T10:00:00 \x1b[31m{HOSTILE}", HOSTILE]}}})
    summarize(raw, "r", **{HOSTILE: HOSTILE})
    sweep = raw.sweep(
        {
            "method": "grid",
            "name": HOSTILE,
            "metric": {"name": HOSTILE},
            "parameters": {HOSTILE: {"values": [HOSTILE, 2]}},
        }
    )
    agent = sweep.agent(HOSTILE)
    trial = agent.start()
    summarize(raw, trial, **{HOSTILE: 1.0})
    group = raw.pages.get("/-/data/run/local/p/r").json()["group_url"]
    for path in ("/local/p/runs/r", "/local/p", group, "/local/p/sweeps", f"/local/p/sweeps/{sweep.name}", "/"):
        page = tab.open(path)
        page.mouse.wheel(0, 4000)
        page.wait_for_load_state("networkidle") if path == "/" else page.wait_for_timeout(300)

        assert page.evaluate("window.hacked ?? ({}).hacked ?? null") is None
        assert page.locator("img[src=x], [onerror]").count() == 0
    # The browser reports scripts that it refused in the frame, and the file that was never uploaded.
    refused = ("sandboxed", "/-/frame/", "404")
    tab.problems = [text for text in tab.problems if not any(reason in text for reason in refused)]


def test_console_loads_earlier_lines_and_matches(tab: Tab, raw: RawClient) -> None:
    """Only the last lines are sent; earlier ones and matches are loaded on request."""
    raw.open_run("r")
    lines = [f"2024-05-01T10:00:00 line {number}" for number in range(1500)]
    raw.stream({"files": {"output.log": {"offset": 0, "content": lines}}})
    page = tab.open("/local/p/runs/r")
    page.wait_for_selector("text=last 1000 of 1500 lines")
    page.get_by_role("button", name="Show earlier lines").click()
    page.wait_for_selector("#console >> text=1500 lines")
    page.get_by_role("searchbox", name="Search the console").fill("LINE 12")
    page.wait_for_selector("text=111 of 1500 lines match")


def test_config_search_shows_matching_leaves(tab: Tab, raw: RawClient) -> None:
    """A search shows the matching leaves of all levels."""
    config = {"net": {"value": {"layers": [{"units": 32}, {"units": 64}], "act": "relu"}}, "lr": {"value": 0.1}}
    raw.open_run("r", config=json.dumps(config))
    page = tab.open("/local/p/runs/r")
    page.get_by_role("searchbox", name="Search configuration").fill("64")

    assert page.locator("#config .leaf").all_inner_texts() == ["units\n64"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_a_phone_and_follows_the_colour_scheme(tab: Tab, raw: RawClient, scheme: str) -> None:
    """Nothing sticks out of a narrow page; text stands out from its background in both schemes."""
    raw.open_run("r", displayName=("a_very_long_name_" * 12)[:128], config=json.dumps({"k" * 80: {"value": "v" * 300}}))
    log(raw, "r", 0, 5)
    tab.page.set_viewport_size({"width": 375, "height": 700})
    tab.page.emulate_media(color_scheme=scheme)
    for path in ("/local/p/runs/r", "/local/p", "/"):
        page = tab.open(path)
        page.wait_for_timeout(300)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")

        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
        assert (sum(map(int, background[4:-1].split(","))) < 128) == (scheme == "dark")


def test_link_on_another_site_opens_the_page(tab: Tab, raw: RawClient) -> None:
    """The session counts although its cookie is SameSite=Strict; Flyte's console has such links."""
    raw.open_run("r")
    target = f"{tab.server.url}/local/p/runs/r"
    elsewhere = target.replace("127.0.0.1", "localhost").replace("/local/p/runs/r", "/elsewhere")
    tab.page.route(
        "**/elsewhere", lambda route: route.fulfill(content_type="text/html", body=f'<a href="{target}">x</a>')
    )
    tab.page.goto(elsewhere)
    tab.page.click("a")
    tab.page.wait_for_selector("#charts", state="attached")

    assert tab.page.url == target
