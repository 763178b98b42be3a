"""Bayesian search with W&B's package `sweeps`, an optional extra because it needs scipy and scikit-learn."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from wandb_devserver._errors import UsageError
from wandb_devserver._search.parameters import CATEGORICAL, CATEGORICAL_W_PROBABILITIES, CONSTANT, nest
from wandb_devserver._search.points import values_of

if TYPE_CHECKING:
    from wandb_devserver._json import Json, JsonObject
    from wandb_devserver._search.config import SweepConfig
    from wandb_devserver._search.parameters import Parameter

_METRIC = "metric"

# What the package warns of (its models, a fit that did not converge) is nothing that a user could change. The list of
# ignored warnings belongs to the process: two threads must not change it at once.
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Result:
    """The knowledge that a search gains from one run."""

    state: str
    parameters: JsonObject
    values: list[float]
    """The values of the metric that it logged, in order."""


def check_installed() -> None:
    """Make sure that a Bayesian search is possible.

    Raises:
        UsageError: if the extra is missing.
    """
    if find_spec("sweeps") is None:
        msg = (
            "method 'bayes' needs W&B's package 'sweeps' beside the server: pip install 'wandb-devserver[bayes]' with "
            "Python 3.12 or older (it needs NumPy 1)"
        )
        raise UsageError(msg)


def propose(config: SweepConfig, results: list[Result]) -> JsonObject:
    """Return the configuration of the next trial. Takes from milliseconds to seconds: the more runs, the longer.

    Raises:
        UsageError: if the extra is missing.
    """
    check_installed()
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _propose(config, results)


def _propose(config: SweepConfig, results: list[Result]) -> JsonObject:
    from sweeps import SweepRun, next_run

    assert config.metric is not None
    searched = [parameter for parameter in config.parameters if parameter.distribution != CONSTANT]
    # The package does not know nested parameters: each gets a flat name.
    sweep = {
        "method": "bayes",
        "metric": {
            "name": _METRIC,
            "goal": "maximize" if config.metric.maximize else "minimize",
            "impute": config.metric.impute,
        },
        "parameters": {_name(index): _described(parameter) for index, parameter in enumerate(searched)},
    }
    runs = [
        SweepRun(
            state=result.state,
            config={_name(index): {"value": value} for index, value in enumerate(values)},
            history=[{_METRIC: value} for value in result.values],
        )
        for result in results
        # A run from elsewhere may lack a parameter.
        if None not in (values := values_of(tuple(searched), result.parameters))
    ]
    proposal = next_run(sweep, runs).config
    chosen: list[Json] = [_plain(proposal[_name(index)]["value"]) for index in range(len(searched))]
    found = dict(zip((parameter.path for parameter in searched), chosen, strict=True))
    return nest(
        config.parameters,
        [found.get(item.path, item.values[0]) if item.values else found[item.path] for item in config.parameters],
    )


def _name(index: int) -> str:
    return f"p{index}"


def _described(parameter: Parameter) -> dict[str, Any]:
    if parameter.distribution in (CATEGORICAL, CATEGORICAL_W_PROBABILITIES):
        # The package cannot search by probabilities.
        return {"distribution": CATEGORICAL, "values": parameter.values}
    return {"distribution": parameter.distribution, **parameter.numbers}


def _plain(value: Any) -> Json:
    # The JSON encoder does not know the numbers of numpy.
    plain: Json = value.item() if hasattr(value, "item") else value
    return plain
