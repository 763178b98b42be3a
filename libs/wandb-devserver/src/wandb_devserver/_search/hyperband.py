"""Hyperband: stop a trial that is worse than most others were after as many steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._json import Json, is_number

if TYPE_CHECKING:
    from wandb_devserver._search.problems import Problems

_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")


@dataclass(frozen=True, slots=True)
class Hyperband:
    """When trials are compared, and how many of them continue."""

    eta: float
    """One of `eta` trials continues at each comparison."""

    min_iter: int | None = None
    """The first comparison; each later one comes after `eta` times as many steps."""

    max_iter: int | None = None
    """The iteration to count back from, `brackets` times."""

    brackets: int = 0

    strict: bool = False
    """Whether the value at the comparison decides, and not the best so far."""

    def band(self, steps: int) -> int | None:
        """Return the last comparison that a trial of so many steps has come to."""
        return max((band for band in self._bands(steps) if band <= steps), default=None)

    def _bands(self, steps: int) -> list[int]:
        if self.min_iter is not None:
            bands, band = [], float(self.min_iter)
            while int(band) <= steps:
                bands.append(int(band))
                band *= self.eta
            return bands
        bands, band = [], float(self.max_iter or 0)
        for _ in range(self.brackets):
            band /= self.eta
            if band < 1:
                break
            bands.append(int(band))
        return bands

    def stops(self, values: list[float], values_at: Callable[[int], list[float]]) -> bool:
        """Whether a trial should end.

        Args:
            values: what the trial logged of the metric so far; smaller is better.
            values_at: returns the value of every trial, this one included, that has logged so many.
        """
        band = self.band(len(values))
        if band is None:
            return False
        others = sorted(values_at(band))
        threshold = others[int(1 / self.eta * len(others))]
        return (values[band - 1] if self.strict else min(values)) > threshold


def read_early_terminate(section: Json, problems: Problems) -> Hyperband | None:
    """Read an `early_terminate` section; what is wrong with it goes into `problems`."""
    if section is None:
        return None
    at, before = "early_terminate", len(problems.errors)
    if not isinstance(section, dict) or section.get("type") != "hyperband":
        problems.error(at, f"use an object such as {{'type': 'hyperband', 'min_iter': 3}}, not {section!r}")
        return None
    problems.unknown_keys(at, section, _KEYS)
    for key in ("min_iter", "max_iter", "s"):
        value = section.get(key)
        if value is not None and not (is_number(value) and value >= 1 and float(value).is_integer()):
            problems.error(f"{at}.{key}", f"use a whole number above 0, not {value!r}")
    eta, strict = section.get("eta", 3), section.get("strict", False)
    if not is_number(eta) or eta <= 1:
        problems.error(f"{at}.eta", f"use a number above 1, not {eta!r}")
    if not isinstance(strict, bool):
        problems.error(f"{at}.strict", f"use true or false, not {strict!r}")
    if section.get("min_iter") is None and None in (section.get("max_iter"), section.get("s")):
        problems.error(at, "name 'min_iter', or 'max_iter' and 's'")
    if len(problems.errors) > before or not is_number(eta):
        return None
    if section.get("max_iter") is not None and section.get("s") is not None:
        rule = Hyperband(eta, max_iter=_whole(section["max_iter"]), brackets=_whole(section["s"]), strict=bool(strict))
        if not rule.band(_whole(section["max_iter"])):
            problems.error(at, "no step remains to compare trials at: use more of 'max_iter', or less of 'eta'")
        return rule
    return Hyperband(eta, min_iter=_whole(section["min_iter"]), strict=bool(strict))


def _whole(value: Json) -> int:
    assert isinstance(value, (int, float))
    return int(value)
