"""The tests in the scope of a conformance run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.conformance.scope import Scope, is_for

if TYPE_CHECKING:
    from pathlib import Path

SCOPE = Scope(
    paths=("tests/system_tests",),
    excluded_paths=("tests/system_tests/test_b",),
    excluded_tests=("tests/b.py::c",),
    requirements=(),
)


@pytest.mark.parametrize(("sdk", "is_excluded"), [("0.28.2", False), ("0.31.0", True), ("0.32.0.dev1", True)])
def test_exclusion_applies_to_the_versions_that_it_names(sdk: str, is_excluded: bool) -> None:
    assert is_for({"sdk": ">=0.31"}, sdk) is is_excluded
    assert is_for({}, sdk)


def test_every_exclusion_has_a_path_or_a_test() -> None:
    scope = Scope.read("0.31.0")

    assert scope.excluded_paths
    assert all("::" in test for test in scope.excluded_tests)


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (["-k", "resume"], ["-k", "resume", "tests/system_tests/test_a.py"]),
        (["tests/system_tests/test_a.py::test_b"], ["tests/system_tests/test_a.py::test_b"]),
    ],
)
def test_default_paths_are_used_unless_tests_are_named(tmp_path: Path, given: list[str], paths: list[str]) -> None:
    folder = tmp_path / "tests" / "system_tests"
    (folder / "test_b").mkdir(parents=True)
    (folder / "test_a.py").touch()

    excluded = ["--ignore=tests/system_tests/test_b", "--deselect=tests/b.py::c"]
    assert SCOPE.arguments(tmp_path, given) == [*excluded, *paths]
