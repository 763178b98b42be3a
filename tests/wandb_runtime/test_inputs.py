"""Inputs of a call, as values for the config of its run."""

import json
import logging
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from wandb_runtime.tasks.decorating import Call
from wandb_runtime.tasks.inputs import inputs_of


class Color(Enum):
    RED = "red"


@dataclass
class Optimizer:
    name: str
    betas: tuple[float, float] = (0.9, 0.99)
    api_key: str = "planted"


class Model(BaseModel):
    layers: list[int]
    color: Color
    secret: SecretStr = SecretStr("planted")


@dataclass
class Broken:
    values: list[int] = field(default_factory=list)

    def __getattribute__(self, name: str) -> Any:
        if name == "values":
            msg = "planted"
            raise RuntimeError(msg)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (True, True),
        ("text", "text"),
        (None, None),
        (0.5, 0.5),
        (Fraction(1, 2), 0.5),
        (Color.RED, "red"),
        (Path("a/b"), "a/b"),
        (date(2026, 1, 2), "2026-01-02"),
        ((1, [2, {"a": 3}]), [1, [2, {"a": 3}]]),
        ({1: "one"}, {"1": "one"}),
        (Optimizer("sgd"), {"name": "sgd", "betas": [0.9, 0.99]}),
        (Model(layers=[1], color=Color.RED), {"layers": [1], "color": "red"}),
    ],
)
def test_inputs_are_converted_to_json(value: object, expected: object) -> None:
    def task(given: object) -> None: ...

    found = inputs_of(Call(task, (value,)))

    assert found == {"given": expected}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"bytes", "given (bytes)"),
        (object(), "given (object)"),
        (list(range(1001)), "given (1001 elements)"),
        ([object()], "given (object)"),
        (["planted-key"], "given (looks like a credential)"),
        ({"password": "planted"}, "given.password (looks like a credential)"),
        (Optimizer("sgd"), "given.api_key (looks like a credential)"),
        (Broken(), "given (RuntimeError)"),
    ],
)
def test_omitted_inputs_are_logged(
    value: object, reason: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has name and type, never the value."""
    monkeypatch.setenv("WANDB_API_KEY", "planted-key")
    caplog.set_level(logging.INFO, "wandb_runtime")

    def task(given: object, lr: float = 0.1) -> None: ...

    found = inputs_of(Call(task, (), {"given": value}))

    assert found["lr"] == 0.1
    assert reason in caplog.text
    assert "planted" not in caplog.text + json.dumps(found)


def test_call_with_wrong_arguments_is_left_to_python() -> None:
    def task() -> None: ...

    assert inputs_of(Call(task, (1,))) == {}
