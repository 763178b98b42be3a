"""References to projects."""

from __future__ import annotations

import pickle

import pytest
from wandb_artifacts import InvalidValueError, ProjectRef

PROJECT = ProjectRef("team", "vision")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("team/vision", PROJECT),
        ("/team/vision/", PROJECT),
        ("https://wandb.ai/team/vision", PROJECT),
        ("https://wandb.ai/team/vision/workspace?nw=nwuser#top", PROJECT),
        ("https://wandb.ai/team/vision/runs", PROJECT),
        ("https://wandb.ai/team/vision/artifacts", PROJECT),
        ("https://wandb.ai/team/vision/sweeps/", PROJECT),
        ("https://forge.coreweave.com/wandb/team/vision/table", PROJECT),
        ("https://wandb.ai/team/my%20vision", ProjectRef("team", "my vision")),
        ("https://app.corp.com/team/vision", ProjectRef("team", "vision", "https://api.corp.com")),
        ("http://127.0.0.1:80/sub/team/vision/overview", ProjectRef("team", "vision", "http://127.0.0.1:80/sub")),
    ],
)
def test_every_form_of_project_reference_is_parsed(text: str, expected: ProjectRef) -> None:
    """These are the forms that people paste."""
    assert ProjectRef.parse(text) == expected
    assert ProjectRef.parse(expected.url) == expected


def test_bare_name_is_completed_with_the_default() -> None:
    assert ProjectRef.parse("vision", entity="team") == PROJECT
    assert ProjectRef.parse("a/vision", entity="team") == ProjectRef("a", "vision")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vision", "has no entity; write entity/project"),
        ("team/", "has no entity"),
        ("team/vision/abc", "is not a project but a run or sweep of one"),
        ("team/vision/runs/abc", "is not a project but a run; use download_run"),
        ("team/vision/model:v1", "is not a project but an artifact"),
        ("https://wandb.ai/team/vision/runs/abc/overview", "is not a project but a run; use download_run"),
        ("https://wandb.ai/team/vision/sweeps/abc", "is not a project but a sweep; use download_sweep"),
        ("https://wandb.ai/team/vision/artifacts/model/m/v1", "is not a project but an artifact"),
        ("https://wandb.ai/team/vision/groups/g/workspace", "is not a project but a page of one"),
        ("https://wandb.ai/team", "is not a project; write entity/project"),
        ("team/a?b", "does not allow"),
    ],
)
def test_other_references_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message.replace("?", r"\?")):
        ProjectRef.parse(text)


def test_reference_is_a_value() -> None:
    assert str(PROJECT) == "team/vision"
    assert PROJECT.url == "https://forge.coreweave.com/wandb/team/vision"
    assert pickle.loads(pickle.dumps(PROJECT)) == PROJECT
