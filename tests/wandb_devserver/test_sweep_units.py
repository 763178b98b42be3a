"""Configuration, parameters and search of sweeps, without a server, the SDK or the extra."""

from __future__ import annotations

import json
import math
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb_devserver import UsageError
from wandb_devserver._search.bayes import check_installed
from wandb_devserver._search.config import parse_config
from wandb_devserver._search.distributions import DISTRIBUTIONS
from wandb_devserver._search.hyperband import Hyperband
from wandb_devserver._search.points import draw, grid_size, next_point

if TYPE_CHECKING:
    from wandb_devserver import JsonObject

LOSS = {"name": "loss", "goal": "minimize"}
HYPERBAND = {"type": "hyperband", "min_iter": 3}


def config(parameters: object = None, method: object = "random", **sections: object) -> str:
    """A configuration with one constant parameter, unless others are given."""
    document = {"method": method, "parameters": {"a": {"value": 1}} if parameters is None else parameters, **sections}
    return json.dumps(document)


def drawn(entry: dict[str, object], seed: int) -> Any:
    return draw(parse_config(config({"x": entry})).parameters, random.Random(seed))["x"]


def grid(parameters: object) -> list[JsonObject]:
    """All points, as agents get them."""
    leaves, points = parse_config(config(parameters, "grid")).parameters, list[Any]()
    while (point := next_point(leaves, points)) is not None:
        points.append(point)
    assert len(points) == grid_size(leaves)
    return points


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (config(method=None), ["method: use one of grid, random, bayes, not None"]),
        (config(method="genetic"), ["method: use one of grid, random, bayes, not 'genetic'"]),
        (config({}), ["parameters: name at least one parameter"]),
        ("method: random", ["parameters: name at least one parameter"]),
        (config([1]), ["parameters: name at least one parameter"]),
        (config({"a": 3}), ["parameters.a: use an object such as {'value': 3}, not 3"]),
        (config({"a": {}}), ["parameters.a: use 'value', 'values', 'min' and 'max', or name a 'distribution'"]),
        (config({"a": {"min": 1}}), ["parameters.a: use 'value'"]),
        (config({"a": {"values": []}}), ["parameters.a.values: use a list of at least one value, not []"]),
        (config({"a": {"values": 3}}), ["parameters.a.values"]),
        (config({"a": {"distribution": "constant"}}), ["parameters.a: distribution 'constant' needs 'value'"]),
        (config({"a": {"distribution": "zipf"}}), ["parameters.a.distribution: unknown distribution 'zipf'"]),
        (config({"a": {"distribution": ["normal"]}}), ["parameters.a.distribution: unknown distribution ['normal']"]),
        (config({"a": {"distribution": "uniform", "min": 1}}), ["parameters.a: distribution 'uniform' needs 'max'"]),
        (config({"a": {"min": 2, "max": 1}}), ["parameters.a: 'min' is 2, not below 'max', which is 1"]),
        (config({"a": {"min": 1, "max": 1}}), ["parameters.a: 'min' is 1, not below 'max', which is 1"]),
        (config({"a": {"min": 1, "max": 3, "q": 2}}), ["parameters.a.q: unknown key; use distribution, min, max"]),
        (config({"a": {"value": 1, "values": [1]}}), ["parameters.a.value: unknown key"]),
        (config({"n": {"parameters": {"a": {"value": 1}}, "value": 1}}), ["parameters.n.value: unknown key"]),
        (config({"a": {"distribution": "categorical", "values": [1], "probabilities": [1]}}), ["a.probabilities: unk"]),
        (config(metod="grid"), ["metod: unknown key"]),
        (config(metric={**LOSS, "gaol": "maximize"}), ["metric.gaol: unknown key"]),
        (config(early_terminate={**HYPERBAND, "etta": 2}, metric=LOSS), ["early_terminate.etta: unknown key"]),
        (config(name=3), ["name: use a string, not 3"]),
        (config(command="python"), ["command: use a list of strings, not 'python'"]),
        (config({"a": {"min": "1", "max": 2}}), ["parameters.a.min: use a finite number, not '1'"]),
        (config({"a": {"min": math.inf, "max": 2}}), ["parameters.a.min: use a finite number"]),
        (config({"a": {"distribution": "int_uniform", "min": 0.5, "max": 2}}), ["parameters.a: distribution 'int_u"]),
        (config({"a": {"distribution": "log_uniform_values", "min": 0, "max": 1}}), ["parameters.a.min: use a number"]),
        (config({"a": {"distribution": "log_uniform", "min": 0, "max": 1000}}), ["exponents of e, from -709.0"]),
        (config({"a": {"distribution": "q_normal", "q": 0}}), ["parameters.a.q: use a number above 0, not 0"]),
        (config({"a": {"distribution": "normal", "sigma": -1}}), ["parameters.a.sigma"]),
        (config({"a": {"distribution": "beta", "b": 0}}), ["parameters.a.b: use a number above 0, not 0"]),
        (config({"a": {"values": [1, 2], "probabilities": [1]}}), ["parameters.a.probabilities: use a list of 2"]),
        (config({"a": {"values": [1, 2], "probabilities": [0.5, 0.6]}}), ["must add up to 1, not 1.1"]),
        (config({"a": {"values": [1, 2], "probabilities": [2, -1]}}), ["parameters.a.probabilities"]),
        (config({"n": {"parameters": {"b": {"min": 2, "max": 1}}}}), ["parameters.n.parameters.b: 'min' is 2"]),
        (config({"n": {"parameters": {}}}), ["parameters.n.parameters: name at least one"]),
        (config({"n": {"parameters": {"b": {"min": 0.1, "max": 1.0}}}}, "grid"), ["parameters.n.parameters.b: a grid"]),
        (config({"a": {"values": [1, 2], "probabilities": [0.5, 0.5]}}, "grid"), ["parameters.a: a grid has no steps"]),
        (config({"a": {"min": 0.1, "max": 1.0}}, "bayes"), ["metric: method 'bayes' needs a metric to optimize"]),
        (config(method="bayes", metric=LOSS), ["parameters: method 'bayes' needs a parameter that is not constant"]),
        (config(metric="loss"), ["metric: use an object such as"]),
        (config(metric={"name": ""}), ["metric: use an object such as"]),
        (config(metric={"name": "loss", "goal": "min"}), ["metric.goal: use one of minimize, maximize, not 'min'"]),
        (config(metric={**LOSS, "target": "0"}), ["metric.target: use a finite number, not '0'"]),
        (config(metric={**LOSS, "impute": "mean"}), ["metric.impute"]),
        (config(run_cap=0), ["run_cap: use a whole number above 0, not 0"]),
        (config(run_cap=True), ["run_cap"]),
        (config(run_cap=1.5), ["run_cap"]),
        (config(early_terminate=HYPERBAND), ["metric: 'early_terminate' needs a metric"]),
        (config(early_terminate={"type": "median"}, metric=LOSS), ["early_terminate: use an object such as"]),
        (config(early_terminate={"type": "hyperband"}, metric=LOSS), ["early_terminate: name 'min_iter', or"]),
        (config(early_terminate={"type": "hyperband", "max_iter": 9}, metric=LOSS), ["'max_iter' and 's'"]),
        (config(early_terminate={**HYPERBAND, "min_iter": 0}, metric=LOSS), ["early_terminate.min_iter"]),
        (config(early_terminate={**HYPERBAND, "eta": 1}, metric=LOSS), ["early_terminate.eta: use a number above 1"]),
        (config(early_terminate={**HYPERBAND, "strict": "yes"}, metric=LOSS), ["early_terminate.strict"]),
        (config(early_terminate={"type": "hyperband", "max_iter": 2, "s": 2}, metric=LOSS), ["no step remains"]),
        (config(controller={"type": "local"}), ["controller.type: this server runs the search itself"]),
        (config({"a": {"min": 2, "max": 1}}, "no", run_cap=-1), ["method: ", "parameters.a: ", "run_cap: "]),
        ("[1]", ["it is not an object with 'method' and 'parameters', but [1]"]),
        ("a: [", ["it is not YAML"]),
        ("method: random\nparameters: {a: {value: 2024-05-01}}", ["it is not YAML that JSON can represent"]),
    ],
)
def test_invalid_config_raises_with_every_problem(text: str, reasons: list[str]) -> None:
    """Each problem begins with the path of its key."""
    with pytest.raises(UsageError) as caught:
        parse_config(text)
    message = str(caught.value)

    assert message.startswith("Invalid sweep config: ")
    assert [reason for reason in reasons if reason not in message] == []


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (config(), []),
        (config(metric=LOSS, name="n", description="d", program="p.py", command=["x"], run_cap=3, project="p"), []),
        (config(job="team/p/job:v0", image_uri="image", scheduler={"job": "team/p/scheduler:v0"}), []),
        (config({"a": {"distribution": "log_uniform", "min": -3, "max": 0}}), ["parameters.a: 'min' and 'max' of"]),
    ],
)
def test_ineffective_setting_is_a_warning(text: str, warnings: list[str]) -> None:
    """The configuration is still valid."""
    found = parse_config(text).warnings

    assert len(found) == len(warnings)
    assert [warning for warning, start in zip(found, warnings, strict=True) if not warning.startswith(start)] == []


def test_exponents_without_a_point_are_numbers() -> None:
    """YAML 1.1 reads 1e-5 as a string."""
    text = "method: random\nparameters: {a: {min: 1e-5, max: 1E+3}, b: {value: '1e-5'}, c: {value: 0x1e}}"
    a, b, c = parse_config(text).parameters

    assert a.numbers == {"min": 1e-5, "max": 1000.0}
    assert (b.values, c.values) == (["1e-5"], [30])


def bounds_of(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)


BOUNDS = bounds_of(st.floats(1e-6, 1e6))
SEEDS = st.integers(0, 2**32)


@given(BOUNDS, SEEDS, st.sampled_from(["uniform", "log_uniform_values", "inv_log_uniform_values"]))
def test_drawn_value_is_within_its_bounds(bounds: list[float], seed: int, name: str) -> None:
    """These distributions take the bounds as they are."""
    low, high = bounds

    assert low <= drawn({"distribution": name, "min": low, "max": high}, seed) <= high


@given(bounds_of(st.floats(-50, 50)), SEEDS)
def test_log_uniform_bounds_are_exponents(bounds: list[float], seed: int) -> None:
    """They bound the logarithm of the value, or of its inverse."""
    low, high = bounds
    value = drawn({"distribution": "log_uniform", "min": low, "max": high}, seed)
    inverse = drawn({"distribution": "inv_log_uniform", "min": low, "max": high}, seed)

    assert low - 1e-9 <= math.log(value) <= high + 1e-9
    assert low - 1e-9 <= math.log(1 / inverse) <= high + 1e-9


@given(bounds_of(st.integers(-1000, 1000)), SEEDS)
def test_integer_bounds_draw_integers(bounds: list[int], seed: int) -> None:
    """Both ends are included; a float bound draws floats."""
    low, high = bounds
    value, fraction = drawn({"min": low, "max": high}, seed), drawn({"min": float(low), "max": high}, seed)

    assert isinstance(value, int)
    assert low <= value <= high
    assert isinstance(fraction, float)
    assert {drawn({"min": low, "max": low + 1}, number) for number in range(40)} == {low, low + 1}


@given(
    st.sampled_from([name for name, distribution in DISTRIBUTIONS.items() if distribution.quantized]),
    st.sampled_from([1, 2, 5, 0.25, 0.5, None]),
    SEEDS,
)
def test_quantized_values_are_multiples_of_q(name: str, step: float | None, seed: int) -> None:
    """The default step is 1; an integer step draws integers."""
    numbers = {"min": 1, "max": 7} if "uniform" in name else {}
    value = drawn({"distribution": name, **numbers, **({} if step is None else {"q": step})}, seed)

    assert (value / (step or 1)).is_integer() if isinstance(value, float) else value % (step or 1) == 0
    assert isinstance(value, float) == isinstance(step, float)


@given(st.lists(st.integers(), min_size=1, max_size=5, unique=True), SEEDS, st.data())
def test_draw_chooses_one_of_the_values(values: list[int], seed: int, data: st.DataObject) -> None:
    """A value with probability 0 is never drawn."""
    certain = data.draw(st.integers(0, len(values) - 1))
    probabilities = [int(index == certain) for index in range(len(values))]

    assert drawn({"values": values}, seed) in values
    assert drawn({"values": values, "probabilities": probabilities}, seed) == values[certain]
    assert drawn({"value": {"any": values}}, seed) == {"any": values}


def test_nested_parameters_support_every_distribution() -> None:
    """The defaults are those that W&B documents; the drawn point can be written as JSON."""
    section = {
        name: {"distribution": name, **({"min": 1, "max": 2} if distribution.required else {})}
        for name, distribution in DISTRIBUTIONS.items()
    }
    parameters = parse_config(config({"outer": {"parameters": {"inner": {"parameters": section}}}})).parameters
    point: Any = draw(parameters)

    assert set(point["outer"]["inner"]) == set(DISTRIBUTIONS)
    json.dumps(point, allow_nan=False)


def test_grid_has_every_point_once() -> None:
    """Names are in order and the last one changes first; equal values count once."""
    points = grid(
        {
            "b": {"values": [1, 1.0, "x", None]},
            "a": {"parameters": {"deep": {"min": 3, "max": 4}, "fixed": {"value": [0]}}},
            "c": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5},
        }
    )

    assert points[:3] == [
        {"a": {"deep": 3, "fixed": [0]}, "b": 1, "c": 0},
        {"a": {"deep": 3, "fixed": [0]}, "b": 1, "c": 0.5},
        {"a": {"deep": 3, "fixed": [0]}, "b": "x", "c": 0},
    ]
    assert len({json.dumps(point) for point in points}) == len(points) == 2 * 3 * 2


def test_tried_point_is_recognized_by_its_values() -> None:
    """The type of a number and keys of no parameter do not matter."""
    leaves = parse_config(config({"a": {"values": [1, 2]}, "b": {"value": 0.5}}, "grid")).parameters

    assert next_point(leaves, [{"a": 1.0, "b": 0.5, "epochs": 3}]) == {"a": 2, "b": 0.5}
    assert next_point(leaves, [{"a": 1}, {"b": 0.5}]) == {"a": 1, "b": 0.5}
    assert next_point(leaves, [{"a": 2, "b": 0.5}, {"a": 1, "b": 0.5}]) is None


@pytest.mark.parametrize(
    ("rule", "steps", "band"),
    [
        (Hyperband(3, min_iter=3), 2, None),
        (Hyperband(3, min_iter=3), 8, 3),
        (Hyperband(3, min_iter=3), 100, 81),
        (Hyperband(2.5, min_iter=2), 12, 12),
        (Hyperband(3, max_iter=27, brackets=2), 2, None),
        (Hyperband(3, max_iter=27, brackets=2), 8, 3),
        (Hyperband(3, max_iter=27, brackets=2), 1000, 9),
        (Hyperband(3, max_iter=4, brackets=5), 1000, 1),
    ],
)
def test_hyperband_compares_at_its_bands(rule: Hyperband, steps: int, band: int | None) -> None:
    """Bands are counted up from min_iter or down from max_iter."""
    assert rule.band(steps) == band


def test_hyperband_compares_the_best_value_unless_strict() -> None:
    """With `strict`, the value at the band is compared."""
    values = [1.0, 9.0, 9.0]

    def values_at(step: int) -> list[float]:
        return {3: [2.0, 3.0, 9.0]}[step]

    assert not Hyperband(3, min_iter=3).stops(values, values_at)
    assert Hyperband(3, min_iter=3, strict=True).stops(values, values_at)


def test_bayes_names_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """None in sys.modules makes the import fail, as for a package that is not installed."""
    monkeypatch.setitem(sys.modules, "sweeps", None)

    with pytest.raises(UsageError, match=r"pip install 'wandb-devserver\[bayes\]'"):
        check_installed()
