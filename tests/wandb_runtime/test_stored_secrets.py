"""Secrets in the directory of a run that is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wandb.proto import wandb_internal_pb2
from wandb_artifacts.client import Connection
from wandb_runtime.lifecycle.run_log import parse, read_entries, write_entries
from wandb_runtime.lifecycle.stored_secrets import remove_secrets

# Its stubs do not export the messages.
protocol: Any = wandb_internal_pb2
HEADER = "production"


def test_console_loses_secrets_and_config_keeps_equal_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of an extra header may be a word that the user's own data has too."""
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    config = protocol.Record(config=protocol.ConfigRecord(update=[{"key": "stage", "value_json": f'"{HEADER}"'}]))
    console = protocol.Record(output_raw=protocol.OutputRawRecord(line=f"403: {HEADER} {'k' * 40}"))
    log = tmp_path / "run-r.wandb"
    with log.open("wb") as file:
        write_entries(file, [config.SerializeToString(), console.SerializeToString()])

    remove_secrets(str(tmp_path), Connection(host="http://127.0.0.1:1", headers={"X-Stage": HEADER}))

    with log.open("rb") as file:
        first, second = map(parse, read_entries(file))
    assert first == config
    assert second.output_raw.line == f"403: {'*' * len(HEADER)} {'*' * 40}"
