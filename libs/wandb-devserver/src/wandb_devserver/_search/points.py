"""Grid and random search."""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import TYPE_CHECKING

from wandb_devserver._search.parameters import nest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wandb_devserver._json import Json, JsonObject
    from wandb_devserver._search.parameters import Parameter

_SOURCE = random.SystemRandom()


def draw(parameters: tuple[Parameter, ...], source: random.Random = _SOURCE) -> JsonObject:
    """Return the configuration of a trial, drawn at random."""
    return nest(parameters, [parameter.draw(source) for parameter in parameters])


def grid_size(parameters: tuple[Parameter, ...]) -> int:
    return math.prod(len(_unique_steps(parameter)) for parameter in parameters)


def next_point(parameters: tuple[Parameter, ...], tried: Iterable[JsonObject]) -> JsonObject | None:
    """Return the first point of the grid that none of the configurations `tried` stands for; None after the last."""
    taken = {_identity(values_of(parameters, config)) for config in tried}
    # The last parameter changes first.
    for point in itertools.product(*(_unique_steps(parameter) for parameter in parameters)):
        if _identity(list(point)) not in taken:
            return nest(parameters, list(point))
    return None


def _unique_steps(parameter: Parameter) -> list[Json]:
    return list({_identity([value]): value for value in parameter.steps()}.values())


def values_of(parameters: tuple[Parameter, ...], config: JsonObject) -> list[Json]:
    return [_value(config, parameter.path) for parameter in parameters]


def _value(config: JsonObject, path: tuple[str, ...]) -> Json:
    found: Json = config
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _identity(values: list[Json]) -> str:
    # 1 and 1.0 are one point: a number may change its form on its way through a run's configuration.
    return json.dumps(_whole(values), sort_keys=True)


def _whole(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return {key: _whole(item) for key, item in value.items()} if isinstance(value, dict) else value
