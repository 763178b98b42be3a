"""The tests in scope, from scope.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli
from packaging.specifiers import SpecifierSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE = Path(__file__).with_name("scope.toml")


@dataclass(frozen=True)
class Scope:
    """The tests to run, and the packages that they import."""

    paths: tuple[str, ...]
    excluded_paths: tuple[str, ...]
    excluded_tests: tuple[str, ...]
    requirements: tuple[str, ...]

    @classmethod
    def read(cls, sdk: str) -> Scope:
        """Read the scope for a version of the SDK."""
        values = tomli.loads(FILE.read_text(encoding="utf-8"))
        excluded = [group for group in values["excluded"] if is_for(group, sdk)]
        return cls(
            paths=tuple(values["paths"]),
            excluded_paths=tuple(path for group in excluded for path in group.get("paths", ())),
            excluded_tests=tuple(test for group in excluded for test in group.get("tests", ())),
            requirements=tuple(values["requirements"]),
        )

    def arguments(self, suite: Path, given: list[str]) -> list[str]:
        """The arguments of pytest: those given, the default tests unless they name some, and what is excluded."""
        names_tests = any((suite / argument.partition("::")[0]).exists() for argument in given)
        return [
            *(f"--ignore={path}" for path in self.excluded_paths),
            *(f"--deselect={test}" for test in self.excluded_tests),
            *given,
            *(() if names_tests else self._default_paths(suite)),
        ]

    def _default_paths(self, suite: Path) -> Iterator[str]:
        # pytest imports the conftest.py of every folder test* in a folder that it is given, excluded or not.
        for path in self.paths:
            children = (child.relative_to(suite).as_posix() for child in sorted((suite / path).glob("test_*")))
            yield from (child for child in children if child not in self.excluded_paths)


def is_for(group: Mapping[str, Any], sdk: str) -> bool:
    """Whether an exclusion applies to a version of the SDK."""
    return SpecifierSet(group.get("sdk", "")).contains(sdk, prereleases=True)
