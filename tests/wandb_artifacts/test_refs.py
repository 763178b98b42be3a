"""References to runs, sweeps and artifacts, and hosts."""

import pickle
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb_artifacts import ArtifactRef, InvalidValueError, RunRef, SweepRef, WandbPluginError, app_url

RUN = RunRef("team", "vision", "abc123")

parts = st.text(string.ascii_letters + string.digits + "-_. üß%", min_size=1, max_size=20).filter(
    lambda part: part == part.strip() and "%" not in part
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("team/vision/abc123", RUN),
        ("/team/vision/abc123/", RUN),
        ("team/vision/runs/abc123", RUN),
        ("https://wandb.ai/team/vision/runs/abc123", RUN),
        ("https://wandb.ai/team/vision/runs/abc123/overview?nw=nwuser#top", RUN),
        ("https://forge.coreweave.com/wandb/team/vision/runs/abc123", RUN),
        ("https://wandb.ai/team/my%20vision/runs/a%20b", RunRef("team", "my vision", "a b")),
        ("https://app.corp.com/team/vision/runs/abc123", RunRef("team", "vision", "abc123", "https://api.corp.com")),
        (
            "http://127.0.0.1:8080/sub/path/team/vision/runs/abc123",
            RunRef("team", "vision", "abc123", "http://127.0.0.1:8080/sub/path"),
        ),
        ("http://h/runs/runs/runs/runs", RunRef("runs", "runs", "runs", "http://h")),
    ],
)
def test_every_form_of_run_reference_is_parsed(text: str, expected: RunRef) -> None:
    """These are the forms that people paste."""
    assert RunRef.parse(text) == expected


def test_bare_run_id_is_completed_with_defaults() -> None:
    """Parts that the reference has win over the defaults."""
    assert RunRef.parse("abc123", entity="team", project="vision") == RUN
    assert RunRef.parse("vision/abc123", entity="team", project="other") == RUN
    assert RunRef.parse("a/b/c", host="http://h/") == RunRef("a", "b", "c", "http://h")


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("abc123", "run", "has no entity"),
        ("vision/abc123", "run", "has no entity"),
        ("a/b/c/d", "run", "is not a run"),
        ("https://wandb.ai/team/vision", "run", "is not a run but a page of a project"),
        ("https://wandb.ai/team/vision/sweeps/abc", "run", "is not a run but a sweep; use download_sweep"),
        ("https://user:secret@wandb.ai/team/vision/runs/abc", "host", "must not contain a user name"),
        ("team/vision/", "run", "has no entity"),
        ("team/vision/a;b", "id", "does not allow ;"),
        ("team/vision/model:latest", "run", "is not a run but an artifact; use download_artifact"),
        ("model:v3", "run", "is not a run but an artifact"),
        ("https://wandb.ai/team/vision/artifacts/model/m/v3", "run", "is not a run but an artifact"),
        ("https://wandb.ai/team/vision/reports/x--Vml", "run", "is not a run but a report"),
        ("https://wandb.ai/team/vision/workspace", "run", "is not a run but a page of a project"),
        ("https://wandb.ai/team/vision/sweeps", "run", "is not a run but a page of a project"),
        ("https://wandb.ai/team/vision/artifacts/kind", "run", "is not a run but a page of a project"),
        ("team/vi?sion/abc", "project", "does not allow ?"),
        ("", "run", "has no entity"),
    ],
)
def test_invalid_run_reference_raises(text: str, field: str, message: str) -> None:
    """Errors have field, reason and remedy; passwords are not shown."""
    with pytest.raises(InvalidValueError) as caught:
        RunRef.parse(text)

    assert caught.value.field == field
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_sweep_and_run_are_not_equal() -> None:
    sweep = SweepRef.parse("https://wandb.ai/team/vision/sweeps/abc123")

    assert sweep == SweepRef("team", "vision", "abc123")
    different: set[object] = {sweep, RUN}
    assert len(different) == 2
    assert sweep.url == "https://forge.coreweave.com/wandb/team/vision/sweeps/abc123"


@given(entity=parts, project=parts, run_id=parts)
def test_run_reference_round_trips(entity: str, project: str, run_id: str) -> None:
    """Printed and linked references are parsed back to the same reference."""
    run = RunRef(entity, project, run_id, "http://127.0.0.1:8080")

    assert RunRef.parse(str(run), host=run.host) == run
    assert RunRef.parse(run.url) == run
    assert pickle.loads(pickle.dumps(run)) == run


def test_error_survives_pickling() -> None:
    """Flyte moves exceptions between processes: the message must not be composed twice."""
    with pytest.raises(InvalidValueError, match="must not be empty") as caught:
        RunRef("", "p", "i")
    copied = pickle.loads(pickle.dumps(caught.value))

    assert str(copied) == str(caught.value)
    assert (copied.field, copied.value) == ("entity", "")
    assert isinstance(copied, (WandbPluginError, ValueError))


@pytest.mark.parametrize("host", ["https://api.wandb.ai", "https://api.wandb.ai/", None])
def test_cloud_api_maps_to_its_app(host: str | None) -> None:
    assert app_url(host) == "https://forge.coreweave.com/wandb"


ARTIFACT = ArtifactRef("team", "vision", "model", "v3")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("team/vision/model:v3", ARTIFACT),
        ("/team/vision/model:v3/", ARTIFACT),
        ("team/vision/model", ArtifactRef("team", "vision", "model", "latest")),
        ("https://wandb.ai/team/vision/artifacts/kind/model/v3", ARTIFACT),
        ("https://wandb.ai/team/vision/artifacts/kind/model/v3/files/a/b?nw=1#top", ARTIFACT),
        ("https://wandb.ai/team/vision/artifacts/kind/model", ArtifactRef("team", "vision", "model")),
        ("https://app.corp.com/team/my%20vision/artifacts/kind/a%20b/best", "api.corp.com"),
        ("http://h/artifacts/artifacts/artifacts/artifacts/artifacts/artifacts", "http://h"),
    ],
)
def test_every_form_of_artifact_reference_is_parsed(text: str, expected: ArtifactRef | str) -> None:
    """Every form that people paste is parsed; without an alias it is the latest version."""
    found = ArtifactRef.parse(text)

    if isinstance(expected, str):
        assert found.host is not None
        assert expected in found.host
    else:
        assert found == expected


def test_artifact_name_is_completed_with_defaults() -> None:
    """A name alone takes what it lacks from the defaults; what it states itself wins."""
    assert ArtifactRef.parse("model:v3", entity="team", project="vision") == ARTIFACT
    assert ArtifactRef.parse("vision/model:v3", entity="team", project="other") == ARTIFACT
    assert ArtifactRef.parse("a/b/c", host="http://h/") == ArtifactRef("a", "b", "c", "latest", "http://h")


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("model:v3", "artifact", "has no entity; write entity/project/name:alias"),
        ("team/vision", "artifact", "add the name of an artifact"),
        ("a/b/c/d", "artifact", "is not an artifact; write entity/project/name:alias"),
        ("a/b/c:", "alias", "must not be empty"),
        ("a/b/c:d:e", "alias", "does not allow :"),
        ("a/b/:v3", "name", "must not be empty"),
        ("https://wandb.ai/team/vision/runs/abc", "artifact", "is not an artifact but a run; use download_run"),
        ("https://wandb.ai/team/vision/sweeps/abc", "artifact", "is not an artifact but a sweep"),
        ("https://wandb.ai/team/vision/artifacts", "artifact", "is not an artifact but a page of a project"),
        ("https://wandb.ai/team/vision/artifacts/kind", "artifact", "is not an artifact but a page of a project"),
    ],
)
def test_invalid_artifact_reference_raises(text: str, field: str, message: str) -> None:
    """Errors have field, reason and remedy."""
    with pytest.raises(InvalidValueError) as caught:
        ArtifactRef.parse(text)

    assert caught.value.field == field
    assert message in str(caught.value)


def test_artifact_version_is_not_an_alias() -> None:
    """Only a version always leads to the same contents."""
    refs = [ArtifactRef("e", "p", "n", alias) for alias in ("v3", "latest", "v3x", "v")]

    assert [ref.version for ref in refs] == ["v3", None, None, None]


@given(entity=parts, project=parts, name=parts, alias=parts)
def test_artifact_reference_round_trips(entity: str, project: str, name: str, alias: str) -> None:
    """Printed and linked references are parsed back to the same reference; a link needs the type."""
    artifact = ArtifactRef(entity, project, name, alias, "http://127.0.0.1:8080", "kind")

    assert ArtifactRef.parse(str(artifact), host=artifact.host) == artifact
    assert ArtifactRef.parse(artifact.url) == artifact
    assert pickle.loads(pickle.dumps(artifact)) == artifact
    assert ArtifactRef(entity, project, name).url.endswith("/artifacts")
