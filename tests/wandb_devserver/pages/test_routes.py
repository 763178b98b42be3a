"""Pages and their data over HTTP."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import loopback

if TYPE_CHECKING:
    from tests.wandb_devserver.support import RawClient, Scripts

EVIL = "<script>alert(1)</script>"
NESTED = {"net": {"parameters": {"depth": {"value": 7}}}, "lr": {"values": [0.5, 1]}}


def data(raw: RawClient, path: str, **parameters: object) -> Any:
    response = raw.pages.get(f"/-/data{path}", params=parameters)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return response.json()


def test_run_data_has_state_config_and_metrics(raw: RawClient) -> None:
    """State and its reason, configuration, summary, metrics, labels, console."""
    config = {"lr": {"value": 0.25}, "flyte": {"value": {"attempt": 2, "url": "https://flyte.example/run"}}}
    raw.open_run(
        "r", displayName="Nice run", config=json.dumps(config), tags=["tagged"], notes="noted", groupName="g/1"
    )
    raw.stream_rows(*({"_step": step, "loss": 1 / (step + 1), "net": {"norm": 1}} for step in range(5)))
    raw.stream({"files": {"output.log": {"offset": 0, "content": ["2024-05-01T10:00:00 printed"]}}})
    raw.stream({"files": {"wandb-summary.json": {"offset": 0, "content": ['{"loss": 0.2}']}}})
    raw.stream({"complete": True, "exitcode": 3})
    run = data(raw, "/run/local/p/r")

    assert (run["name"], run["state"], run["reason"]) == ("Nice run", "failed", ["attempt 2", "exit code 3"])
    assert run["config"]["lr"] == 0.25
    assert run["summary"] == {"loss": 0.2}
    assert run["metrics"] == {"loss": 5, "net.norm": 5}
    assert (run["flyte"], run["tags"], run["notes"]) == ("https://flyte.example/run", ["tagged"], "noted")
    assert raw.pages.get(run["group_url"]).status_code == 200
    assert data(raw, "/console/local/p/r")["lines"] == [[0, "printed", "2024-05-01T10:00:00", ""]]


def test_link_to_flyte_must_be_http(raw: RawClient) -> None:
    """A script URL is not a link back to Flyte."""
    raw.open_run("r", config=json.dumps({"flyte": {"value": {"url": "javascript:alert(1)"}}}))

    assert data(raw, "/run/local/p/r")["flyte"] is None


def test_project_data_has_the_chosen_columns(raw: RawClient) -> None:
    """The default columns are the configuration that differs, and metrics."""
    for number in range(3):
        raw.open_run(f"r{number}", config=json.dumps({"lr": {"value": number}, "same": {"value": 1}}))
        summary = json.dumps({"loss": number / 2, "note": "x"})
        raw.stream({"files": {"wandb-summary.json": {"offset": 0, "content": [summary]}}}, f"local/p/r{number}")
    project = data(raw, "/project/local/p")
    chosen = data(raw, "/project/local/p", column="summary.note")

    assert project["columns"] == ["config.lr", "summary.loss"]
    assert [run["values"]["config.lr"] for run in project["runs"]] == [2, 1, 0]
    assert project["available"] == ["config.lr", "config.same", "summary.loss", "summary.note"]
    assert chosen["runs"][0]["values"] == {"summary.note": "x"}


def test_group_data_has_its_runs_only(raw: RawClient) -> None:
    """Oldest first; the name of a group may hold a slash."""
    for name, group in (("a", "g/1"), ("b", "other"), ("c", "g/1")):
        raw.open_run(name, groupName=group)

    assert [run["id"] for run in data(raw, "/group/local/p/g%2F1")["runs"]] == ["a", "c"]
    assert raw.pages.get("/local/p/groups/none").status_code == 404


def test_sweep_data_has_trials_and_agents(raw: RawClient) -> None:
    """State, configuration, trials with parameters and metric, agents."""
    config = {"method": "grid", "name": "My sweep", "metric": {"name": "loss"}, "parameters": NESTED, "run_cap": 9}
    sweep = raw.sweep(config)
    agent = sweep.agent("my-host")
    run = agent.start()
    raw.stream({"files": {"wandb-summary.json": {"offset": 0, "content": ['{"loss": 0.25}']}}}, f"local/p/{run}")
    found = data(raw, f"/sweep/local/p/{sweep.name}")
    (record,) = raw.server.sweeps("local/p")

    assert raw.pages.get(record.url).status_code == 200
    assert (found["name"], found["state"], found["metric"], found["maximize"]) == ("My sweep", "RUNNING", "loss", False)
    assert found["trials"][0]["values"]["net.depth"] == 7
    assert found["trials"][0]["metric"] == 0.25
    assert found["agents"][0]["host"] == "my-host"
    assert data(raw, "/sweeps/local/p")["sweeps"][0]["url"] == f"/local/p/sweeps/{sweep.name}"


LOG_AND_USE = """
with wandb.init(project="p", id="maker") as run:
    artifact = wandb.Artifact("model", "weights", metadata={"loss": 0.5})
    with artifact.new_file("model.txt") as stream:
        stream.write("contents")
    artifact.add_reference("https://elsewhere.example/data", name="far", checksum=False)
    run.log_artifact(artifact, aliases=["best"]).wait()
with wandb.init(project="p", id="user") as run:
    run.use_artifact("model:best")
"""


def test_artifact_data_has_versions_files_and_lineage(raw: RawClient, scripts: Scripts) -> None:
    """Versions, aliases, files that can be downloaded, and lineage in both directions."""
    scripts.run(LOG_AND_USE)
    (collection,) = data(raw, "/artifacts/local/p")["collections"]
    found = data(raw, "/artifact" + collection["url"].replace("/artifacts", "", 1))
    shown = found["shown"]
    files = {entry["name"]: entry for entry in shown["entries"]}

    assert (found["name"], found["type"], shown["name"]) == ("model", "weights", "model:v0")
    assert shown["aliases"] == ["latest", "best"]
    assert raw.pages.get(files["model.txt"]["url"]).text == "contents"
    assert files["far"]["reference"] == files["far"]["url"] == "https://elsewhere.example/data"
    assert (shown["logged_by"]["id"], [run["id"] for run in shown["used_by"]]) == ("maker", ["user"])
    assert [row["name"] for row in data(raw, "/run/local/p/user")["used"]] == ["model:v0"]
    assert raw.pages.get(f"{collection['url']}/best").status_code == 200


def test_text_of_runs_is_escaped_in_pages(raw: RawClient) -> None:
    """Scripts and styles are files of the package only."""
    raw.open_run("r", displayName=EVIL, groupName=EVIL)
    sweep = raw.sweep({"method": "grid", "name": EVIL, "metric": {"name": EVIL}, "parameters": {EVIL: {"value": EVIL}}})
    paths = ["/local/p/runs/r", "/local/p", "/local/p/sweeps", f"/local/p/sweeps/{sweep.name}"]
    for path in [*paths, f"/local/p/groups/{EVIL.replace('/', '%2F')}"]:
        response = raw.pages.get(path)

        assert response.status_code == 200
        assert re.findall(r"<script[^>]*>[^<]", response.text) == []
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy


def test_page_names_all_its_scripts(raw: RawClient) -> None:
    """A browser loads all modules at once; each of them exists and may be cached for ever."""
    raw.open_run("r")
    urls = re.findall(r'(?:href|src)="(/-/static/[^"]+)"', raw.pages.get("/local/p/runs/r").text)
    loaded = {url.split("/", 4)[-1]: loopback.get(raw.server.url + url) for url in urls}

    assert {"run.js", "lines.js", "vendor/echarts.js", "style.css"} <= loaded.keys()
    assert {response.status_code for response in loaded.values()} == {200}
    assert all("immutable" in response.headers["cache-control"] for response in loaded.values())


@pytest.mark.parametrize(
    "path",
    [
        *("/local/p", "/local/p/runs/r", "/local/<b>/runs/r", "/local/p/sweeps", "/local/p/sweeps/<b>"),
        *("/local/p/groups/g", "/local/p/artifacts", "/local/p/artifacts/t/n", "/local/p/artifacts/t/n/v0"),
    ],
)
def test_missing_page_is_404(raw: RawClient, path: str) -> None:
    """The page links back to the start page."""
    response = raw.pages.get(path)

    assert response.status_code == 404
    assert 'href="/"' in response.text
    assert "<b>" not in response.text


def test_record_url_opens_the_page(raw: RawClient) -> None:
    """The URL is quoted, and needs the key or a session."""
    raw.open_run("a b", project="my project")
    url = raw.server.run("local/my project/a b").url

    assert " " not in url
    assert raw.pages.get(url).status_code == 200
    assert loopback.get(url).status_code == 401


def test_files_are_served_as_attachments(raw: RawClient) -> None:
    """A browser saves what a run uploaded; it never shows it as a page of this server."""
    raw.open_run("r")
    raw.upload("x.html", b"<script>alert(1)</script>")
    response = raw.pages.get("/files/local/p/r/x.html")

    assert response.headers["content-disposition"] == 'attachment; filename="x.html"'
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "sandbox"


def test_unchanged_data_is_not_sent_again(raw: RawClient) -> None:
    """Pages poll every two seconds."""
    raw.open_run("r")
    raw.stream({"complete": True, "exitcode": 0})
    tag = raw.pages.get("/-/data/run/local/p/r").headers["etag"]
    again = raw.pages.get("/-/data/run/local/p/r", headers={"If-None-Match": tag})

    assert (again.status_code, again.content) == (304, b"")
