"""An API key that is planted in every place through which one may travel, and searched in everything that comes out."""

from __future__ import annotations

import base64
import logging
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import flyte
import pytest
from flyteplugins.wandb import (
    Wandb,
    WandbSweep,
    get_wandb_context,
    get_wandb_run,
    wandb_config,
    wandb_init,
    wandb_sweep_config,
)
from wandb_artifacts import RunRef, download_run
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_devserver import DevServer, Fault

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_secrets")

CONTEXT = wandb_config(project="e2e")


def forms(key: str) -> list[bytes]:
    texts = [key, quote(key, safe=""), *(base64.b64encode(text.encode()).decode() for text in (key, f"api:{key}"))]
    return [text.encode() for text in texts]


CONFIGURATIONS: dict[str, Any] = {
    "key of a dictionary": lambda key: wandb_config(config={"api_key": key}),
    "list": lambda key: wandb_config(config={"a": [{"api_key": key}]}),
    "tuple": lambda key: wandb_config(config={"a": ({"b": (key,)},)}),
    "text": lambda key: wandb_config(config={"note": f"run with {key}"}),
    "tag": lambda key: wandb_config(tags=[key]),
    "notes": lambda key: wandb_config(notes=f"key {key}"),
    "settings": lambda key: wandb_config(settings={"api_key": key}),
    "host": lambda key: wandb_config(host=f"https://api:{key}@wandb.example.com"),
    "host of a link": lambda key: Wandb(host=f"https://api:{key}@wandb.example.com"),
    "host of the link of a sweep": lambda key: WandbSweep(host=f"https://api:{key}@wandb.example.com"),
    "value that cannot be carried": lambda key: wandb_config(config={"a": key.encode()}),
    "decorator": lambda key: wandb_init(config={"a": [{"password": key}]}),
    "sweep command": lambda key: wandb_sweep_config(method="random", command=["run", "--key", key]),
    "sweep description": lambda key: wandb_sweep_config(method="random", description=f"key {key}"),
    "sweep parameter": lambda key: wandb_sweep_config(method="grid", parameters={"api_key": {"values": [key]}}),
    "reference": lambda key: RunRef.parse(f"https://api:{key}@wandb.example.com/e/p/runs/r"),
}


@wandb_init
@env.task
async def logging_rows() -> list[str]:
    run = get_wandb_run(required=True)
    run.log({"x": 1})
    return [run.path, str(get_wandb_context()), repr(get_wandb_context())]


def outcome_of(configure: Any, key: str) -> str:
    """Return the chain of exceptions of a call with the key, or the result of one that accepts it."""
    try:
        return repr(configure(key))
    except Exception as error:  # noqa: BLE001 - whatever it is
        return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)


def test_planted_key_is_nowhere(
    wandb_devserver: DevServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in logs, errors and their chains, links, Flyte's context, the folder of the run, or a download."""
    key = wandb_devserver.api_key
    caplog.set_level(logging.DEBUG)
    netrc = tmp_path / "netrc"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETRC", str(netrc))
    netrc.write_text(f"machine {urlsplit(wandb_devserver.url).hostname}\n login api\n password {key}\n")
    netrc.chmod(0o600)

    echo = f"refused {key} {forms(key)}"
    outcomes = {name: outcome_of(configure, key) for name, configure in CONFIGURATIONS.items()}
    path, *context = run_locally(logging_rows, context=CONTEXT)
    outcomes |= {"context": "".join(context), "link": repr(Wandb(project="e2e")), "carried": repr(dict(CONTEXT))}
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertBucket", status=400, body=echo))
    outcomes["echo to a run"] = outcome_of(lambda _: run_locally(logging_rows, context=CONTEXT), key)
    with use_options(retry=RetryPolicy(attempts=1, down_for=0)):
        wandb_devserver.faults.add(Fault("graphql", operation="Run", status=400, body=echo))
        outcomes["echo to a download"] = outcome_of(lambda _: download_run(path, tmp_path / "refused"), key)
    download_run(path, tmp_path / "download")

    found = {name: text.encode() for name, text in outcomes.items()}
    # The SDK's own logs have the server's text as it is.
    ours = [record for record in caplog.records if record.name.partition(".")[0] != "wandb"]
    found |= {"log": "\n".join(map(caplog.handler.format, ours)).encode()}
    known = {netrc, wandb_devserver.data_dir / "api-key"}
    files = (file for file in tmp_path.rglob("*") if file.is_file() and file.name != "debug-internal.log")
    found |= {str(file): file.read_bytes() for file in files if file not in known}
    assert (tmp_path / "download" / "run.json").exists()
    assert [name for name, content in found.items() if any(form in content for form in forms(key))] == []
