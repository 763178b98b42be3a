"""Sweep configuration: YAML text from clients, parsed and validated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import yaml

from wandb_devserver._errors import UsageError
from wandb_devserver._json import Json, JsonObject, dumps, is_number, loads
from wandb_devserver._search.hyperband import Hyperband, read_early_terminate
from wandb_devserver._search.parameters import CONSTANT, Parameter, read_parameters
from wandb_devserver._search.problems import Problems

if TYPE_CHECKING:
    from typing import TypeAlias

    Method: TypeAlias = Literal["grid", "random", "bayes"]

_METHODS: tuple[Method, ...] = ("grid", "random", "bayes")
_TEXTS = ("name", "description", "program", "project", "entity")
_GOALS = ("minimize", "maximize")
_KEYS = (
    *("method", "metric", "parameters", "early_terminate", "run_cap", "name", "description", "program", "command"),
    *("project", "entity", "controller", "settings", "apiVersion", "kind"),
    # Of sweeps by launch or another scheduler, which this server only stores.
    *("job", "image_uri", "scheduler", "metrics"),
)


class _Loader(yaml.SafeLoader):
    """Reads 1e-5 as a number, as YAML 1.2 and W&B do; the SDK writes strings that look like it without quotes."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


@dataclass(frozen=True, slots=True)
class Metric:
    """The quantity that a sweep minimizes or maximizes."""

    name: str
    maximize: bool = False
    target: float | None = None
    """A value that, once reached, ends the sweep."""

    impute: str = "worst"
    """By which of a run's values a failed run counts in a Bayesian search."""

    def reaches_target(self, value: float) -> bool:
        if self.target is None:
            return False
        return value >= self.target if self.maximize else value <= self.target

    def best(self, values: list[float]) -> float | None:
        return (max if self.maximize else min)(values, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """A configuration that a sweep can be run by."""

    document: JsonObject
    """All of it, as the user wrote it."""

    method: Method
    parameters: tuple[Parameter, ...]
    metric: Metric | None
    early_terminate: Hyperband | None
    run_cap: int | None
    warnings: tuple[str, ...]
    """Entries without effect, or with another effect than most people expect."""

    @property
    def program(self) -> str | None:
        program = self.document.get("program")
        return program if isinstance(program, str) else None


@lru_cache(maxsize=64)
def parse_config(text: str) -> SweepConfig:
    """Read and check a configuration in YAML, which JSON is too.

    Raises:
        UsageError: if no sweep can be run by it; the message names every reason and its place.
    """
    document, problems = _load(text), Problems()
    problems.unknown_keys("", document, _KEYS)
    _check_types(document, problems)
    method = _read_method(document.get("method"), problems)
    metric = _read_metric(document.get("metric"), problems)
    config = SweepConfig(
        document=document,
        method=method,
        parameters=read_parameters(document.get("parameters"), problems),
        metric=metric,
        early_terminate=read_early_terminate(document.get("early_terminate"), problems),
        run_cap=_read_run_cap(document.get("run_cap"), problems),
        warnings=tuple(problems.warnings),
    )
    _check_together(config, problems)
    problems.check()
    return config


def _load(text: str) -> JsonObject:
    try:
        # Through JSON, because YAML has dates, and keys of other types than strings.
        document = loads(dumps(yaml.load(text, _Loader)))  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, TypeError, ValueError) as error:
        msg = f"Invalid sweep config: it is not YAML that JSON can represent: {error}"
        raise UsageError(msg) from error
    if not isinstance(document, dict):
        msg = f"Invalid sweep config: it is not an object with 'method' and 'parameters', but {document!r}"
        raise UsageError(msg)
    return document


def _check_types(document: JsonObject, problems: Problems) -> None:
    for key in _TEXTS:
        if document.get(key) is not None and not isinstance(document[key], str):
            problems.error(key, f"use a string, not {document[key]!r}")
    if document.get("command") is not None and not isinstance(document["command"], list):
        problems.error("command", f"use a list of strings, not {document['command']!r}")


def _read_method(method: Json, problems: Problems) -> Method:
    for known in _METHODS:
        if method == known:
            return known
    problems.error("method", f"use one of {', '.join(_METHODS)}, not {method!r}")
    return "random"


def _read_metric(section: Json, problems: Problems) -> Metric | None:
    if section is None:
        return None
    if not isinstance(section, dict) or not isinstance(section.get("name"), str) or not section["name"]:
        problems.error("metric", f"use an object such as {{'name': 'loss', 'goal': 'minimize'}}, not {section!r}")
        return None
    problems.unknown_keys("metric", section, ("name", "goal", "target", "impute", "impute_while_running"))
    goal, target = section.get("goal", "minimize"), section.get("target")
    if goal not in _GOALS:
        problems.error("metric.goal", f"use one of {', '.join(_GOALS)}, not {goal!r}")
    if target is not None and not is_number(target):
        problems.error("metric.target", f"use a finite number, not {target!r}")
    impute = section.get("impute", "worst")
    if impute not in ("latest", "best", "worst"):
        problems.error("metric.impute", f"use one of latest, best, worst, not {impute!r}")
    return Metric(str(section["name"]), goal == "maximize", target if is_number(target) else None, str(impute))


def _read_run_cap(value: Json, problems: Problems) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        problems.error("run_cap", f"use a whole number above 0, not {value!r}")
        return None
    return value


def _check_together(config: SweepConfig, problems: Problems) -> None:
    controller = config.document.get("controller")
    if isinstance(controller, dict) and controller.get("type") == "local":
        problems.error("controller.type", "this server runs the search itself; leave 'controller' out")
    if config.method == "grid":
        for parameter in config.parameters:
            if not parameter.fits_a_grid:
                where = ".parameters.".join(("parameters." + parameter.path[0], *parameter.path[1:]))
                problems.error(where, f"a grid has no steps for distribution {parameter.distribution!r}: use 'values'")
    if config.method == "bayes":
        if config.metric is None:
            problems.error("metric", "method 'bayes' needs a metric to optimize, such as {'name': 'loss'}")
        if config.parameters and all(parameter.distribution == CONSTANT for parameter in config.parameters):
            problems.error("parameters", "method 'bayes' needs a parameter that is not constant")
    if config.early_terminate and config.metric is None:
        problems.error("metric", "'early_terminate' needs a metric to compare trials by, such as {'name': 'loss'}")
