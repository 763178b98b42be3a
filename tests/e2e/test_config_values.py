"""Values of the config, in comparison with those that `wandb.init` stores."""

import argparse
import dataclasses
import datetime
import decimal
import enum
import json
import math
import pickle
import uuid
from collections import OrderedDict, namedtuple
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pydantic
import pytest
import wandb
from wandb_artifacts import InvalidValueError
from wandb_devserver import DevServer
from wandb_runtime import wandb_config


class Color(enum.Enum):
    RED = 1


class Size(enum.IntEnum):
    LARGE = 3


@dataclasses.dataclass
class Options:
    lr: float = 0.1
    path: Path = Path("/data")
    layers: tuple[int, ...] = (1, 2)


class Model(pydantic.BaseModel):
    depth: int = 3


class Text(str):
    __slots__ = ()


Point = namedtuple("Point", "x y")

VALUES: dict[str, Any] = {
    "int": 1,
    "large int": 2**70,
    "float": 0.5,
    "integral float": 1.0,
    "nan": math.nan,
    "text": "a",
    "empty": "",
    "text subclass": Text("a"),
    "bool": True,
    "none": None,
    "list": [1, "a", None],
    "tuple": (1, (2, 3)),
    "named tuple": Point(1, 2),
    "set": {1},
    "frozen set": frozenset({1}),
    "range": range(3),
    "complex": 1j,
    "dict": {"a": {"b": [1]}},
    "ordered dict": OrderedDict(a=1),
    "integer keys": {1: "a", 2: {3: "b"}},
    "other keys": {None: 1, True: 2, 0.5: 3},
    "numpy int": np.int64(3),
    "numpy float": np.float32(0.5),
    "numpy nan": np.float64(math.nan),
    "numpy bool": np.bool_(True),
    "numpy text": np.str_("a"),
    "array": np.arange(4),
    "array of one": np.array([7]),
    "matrix": np.eye(2),
    "list of numpy": [np.int64(1), np.float64(0.5)],
    "path": Path("/data/x"),
    "pure path": PurePosixPath("a/b"),
    "date": datetime.date(2026, 1, 2),
    "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    "duration": datetime.timedelta(minutes=5),
    "enum": Color.RED,
    "int enum": Size.LARGE,
    "list of enums": [Color.RED],
    "dataclass": Options(),
    "nested dataclass": {"options": [Options(lr=1.0)]},
    "pydantic": Model(),
    "namespace": argparse.Namespace(lr=0.1),
    "uuid": uuid.UUID(int=5),
    "decimal": decimal.Decimal("0.10"),
    "fraction": Fraction(1, 3),
    "bytes": b"text",
    "function": math.sqrt,
    "class": Options,
    "slice": slice(1, 2, 3),
}


def test_values_are_carried_as_wandb_stores_them(wandb_devserver: DevServer) -> None:
    """The expected config is the one that the SDK sends."""
    with wandb.init(project="p", id="reference", config=VALUES):
        pass
    stored = wandb_devserver.run("local/p/reference").config
    carried = json.loads(wandb_config(config=VALUES)["wandb_config"])

    assert {name: carried[name] for name in VALUES} == {name: stored[name] for name in VALUES}


def test_values_of_omegaconf_are_carried_as_wandb_stores_their_contents(wandb_devserver: DevServer) -> None:
    """Lists are what the SDK stores too; of dictionaries it stores a text, or fails."""
    omegaconf: Any = pytest.importorskip("omegaconf", reason="omegaconf is not installed")
    create, contents = omegaconf.OmegaConf.create, omegaconf.OmegaConf.to_container
    lists = {"list": create([1, "a", None]), "matrix": create([[1.0], [2.5]]), "empty": create([])}
    dictionaries = {
        "dict": create({"a": 1}),
        "nested": create({"layers": [1, {"units": 2}]}),
        "interpolation": create({"a": {"b": 2}, "c": "${a.b}", "d": ["${c}"]}),
        "enum": create({"color": Color.RED}),
    }
    resolved = {name: contents(value, resolve=True) for name, value in dictionaries.items()}
    with wandb.init(project="p", id="reference", config={**lists, **resolved}):
        pass
    stored = wandb_devserver.run("local/p/reference").config
    values = {**lists, **dictionaries}
    carried = json.loads(wandb_config(config=values)["wandb_config"])

    assert carried == {name: stored[name] for name in values}
    whole = create({"lr": 0.5, "layers": [1, {"rate": "${lr}"}]})
    assert wandb_config(config=whole).config == {"lr": 0.5, "layers": [1, {"rate": 0.5}]}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (argparse.Namespace(lr=0.1, path=Path("/x")), {"lr": 0.1, "path": "/x"}),
        (Options(), {"lr": 0.1, "path": "/data", "layers": [1, 2]}),
        (Model(), {"depth": 3}),
    ],
    ids=["namespace", "dataclass", "pydantic"],
)
def test_config_may_be_an_object_with_attributes(config: Any, expected: dict[str, Any]) -> None:
    made = wandb_config(config=config)

    assert made.config == expected
    assert pickle.loads(pickle.dumps(made)).config == expected


class Opaque:
    pass


@pytest.mark.parametrize(
    "value",
    [Opaque(), [Opaque()], np.arange(100), {"a": np.zeros((9, 9))}, b"\xff", {(1, 2): "a"}, object()],
    ids=["object", "in a list", "array", "matrix", "bytes", "tuple key", "plain object"],
)
def test_value_that_wandb_would_lose_is_refused(value: object) -> None:
    """The error names the path of the value, but does not show the value."""
    with pytest.raises(InvalidValueError, match=r"config\['x'\]") as caught:
        wandb_config(config={"x": value})

    assert repr(value) not in str(caught.value)


SECRET = "s" * 40


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"config": {"api_key": SECRET}}, "config['api_key']"),
        ({"config": {"a": [{"api_key": SECRET}]}}, "config['a'][0]['api_key']"),
        ({"config": {"a": ({"b": ({"password": SECRET},)},)}}, "config['a'][0]['b'][0]['password']"),
        ({"config": argparse.Namespace(token=SECRET)}, "config['token']"),
        ({"config": {"a": ["the key"]}}, "config['a'][0]"),
        ({"config": {"a": "see the key here"}}, "config['a']"),
        ({"notes": "the key"}, "notes"),
        ({"tags": ["the key"]}, "tags[0]"),
        ({"settings": {"http_proxy": f"http://user:{SECRET}@proxy"}}, "settings['http_proxy']"),
        ({"host": f"https://api:{SECRET}@wandb.example.com"}, "host"),
    ],
)
def test_credential_is_refused_at_any_depth(
    arguments: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names it and does not show it."""
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    arguments = json_replace(arguments, "the key", "k" * 40)
    with pytest.raises(InvalidValueError) as caught:
        wandb_config(**arguments)

    assert caught.value.field == path
    assert not {"k" * 40, SECRET} & set(str(caught.value).replace("'", " ").split())
    assert SECRET not in str(caught.value)
    assert "k" * 40 not in str(caught.value)


def json_replace(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: json_replace(item, old, new) for key, item in value.items()}
    return [json_replace(item, old, new) for item in value] if isinstance(value, list) else value
