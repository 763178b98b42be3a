"""References of another kind than the function or command expects, and objects of the SDK."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from wandb_artifacts import (
    InvalidValueError,
    RunRef,
    ServerUnavailableError,
    SweepRef,
    download_run,
    download_sweep,
)
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_artifacts._download.options import read_ref
from wandb_artifacts.client import find_credentials

from tests.wandb_artifacts.command import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["run", "team/project/model:latest"], "is not a run but an artifact; .* 'wandb-artifacts artifact'"),
        (["run", "team/project"], "If it is entity/project, 'wandb-artifacts ls' lists its runs"),
        (["run", "https://wandb.ai/t/p/sweeps/x"], "is not a run but a sweep; use 'wandb-artifacts sweep'"),
        (["artifact", "team/project"], "'wandb-artifacts ls --artifacts' lists its artifacts; add the name"),
        (["ls", "x7k2"], "REF 'x7k2': a bare id needs WANDB_ENTITY and WANDB_PROJECT; .*'ls entity/project/id'"),
        (["sweep", "x7k2"], "REF 'x7k2': a bare id needs WANDB_ENTITY and WANDB_PROJECT"),
        (["sweep", "https://wandb.ai/t/p/runs/x"], "is not a sweep but a run; use 'wandb-artifacts run'"),
    ],
)
def test_command_names_the_right_command(arguments: list[str], meant: str) -> None:
    done = command(*arguments, WANDB_ENTITY="")

    assert done.returncode == 2
    with pytest.raises(ValueError, match=meant):
        raise ValueError(done.stderr)


def test_list_recognizes_sweeps_and_projects(backend: WandbBackend) -> None:
    sweep = backend.sweep(["one", "two"])

    of_sweep, of_project = command("ls", sweep), command("ls", "local/p")
    by_id, missing = (
        command("ls", each, WANDB_ENTITY="local", WANDB_PROJECT="p") for each in (sweep.rpartition("/")[2], "nothing")
    )

    assert [line.split()[-1] for line in of_sweep.stdout.splitlines()] == ["RUN", "one", "two"]
    assert by_id.stdout == of_sweep.stdout
    assert missing.returncode == 4
    assert "W&B has neither a run nor a sweep or artifact local/p/nothing" in missing.stderr
    assert of_project.stdout.splitlines() == ["RUN", "one", "two"]


@dataclass
class FromSdk:
    """The common attributes of the wandb SDK's runs and sweeps."""

    entity: str = "team"
    project: str = "a b"
    id: str = "x"
    name: str = "calm-sea-1"
    url: str | None = None
    path: list[str] = field(default_factory=lambda: ["team", "a%20b", "x"])


def test_objects_of_the_sdk_are_references() -> None:
    expected = RunRef("team", "a b", "x")

    assert read_ref(RunRef, FromSdk()) == expected
    assert read_ref(RunRef, FromSdk().path) == expected
    assert read_ref(SweepRef, FromSdk().path) == SweepRef("team", "a b", "x")
    assert (
        read_ref(RunRef, FromSdk(url="https://wandb.example.com/team/a%20b/runs/x")).host == "https://wandb.example.com"
    )
    with pytest.raises(InvalidValueError, match="but a sweep; use download_sweep"):
        read_ref(RunRef, FromSdk(url="https://wandb.ai/team/p/sweeps/x"))
    for wrong in (FromSdk(entity=""), SweepRef("a", "b", "c"), ["a", "b"], object(), None, 1):
        with pytest.raises(InvalidValueError, match="must be a RunRef"):
            read_ref(RunRef, wrong)  # type: ignore[type-var]


def test_run_of_the_sdk_is_downloaded(backend: WandbBackend, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    found = wandb.Api().run(backend.run(files={"a": b"a"}))

    assert download_run(found, tmp_path / "object").run.id == "r"
    assert download_run(found.path, tmp_path / "path").run.id == "r"
    sweep = wandb.Api().sweep(backend.sweep(["one"]))
    assert [run.run.id for run in download_sweep(sweep, tmp_path / "sweep").runs] == ["one"]


def test_error_about_the_cloud_names_wandb_ai(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))

    with pytest.raises(Exception, match=r"api\.forge\.coreweave\.com \(the API of W&B's cloud, wandb\.ai\)"):
        find_credentials()


def test_connection_error_names_the_host_that_the_user_pasted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    policy, named = RetryPolicy(attempts=1, down_for=0), r"api\.forge\.coreweave\.com \(the API of .* wandb\.ai\)"
    with use_options(retry=policy), pytest.raises(ServerUnavailableError, match=named):
        download_run("https://wandb.ai/team/project/runs/x", tmp_path)
