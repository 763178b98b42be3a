"""The results of a run: a table by directory, and the causes of what did not pass."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
# Longer causes are cut: they repeat values, and the report has them whole.
CAUSE_LENGTH = 300
# What differs between two runs of a test.
VARIABLE = [
    (re.compile(r"user_gw\d+-[0-9a-f]{40}"), "<user>"),
    (re.compile(r"\b(org|team)-gw\d+-\w+"), r"<\1>"),
    (re.compile(r"\b0x[0-9a-f]+\b"), "<object>"),
    (re.compile(r"\b[0-9a-f]{8,}\b"), "<hex>"),
    (re.compile(r"/\S*/pytest-of-\S+"), "<path>"),
    (re.compile(r"localhost:\d+"), "<server>"),
]


@dataclass(frozen=True)
class Result:
    """How a test ended; `cause` is empty for one that passed."""

    outcome: str
    cause: str
    seconds: float


def read_results(report: Path) -> dict[str, Result]:
    """The results by test id; a file that could not be collected counts as one test with an error."""
    phases: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in report.read_text(encoding="utf-8").splitlines():
        phase = json.loads(line)
        phases[phase["id"]].append(phase)
    return {test: combine(entries) for test, entries in phases.items()}


def combine(phases: list[dict[str, Any]]) -> Result:
    """The result of a test from its phases: setup, call and teardown, or collect."""
    # A failure decides, wherever it is; the last phase that did not pass is the next best.
    failed = next((phase for phase in phases if phase["outcome"] == "failed"), None)
    deciding = failed or next((phase for phase in reversed(phases) if phase["outcome"] != "passed"), phases[0])
    outcome = outcome_of(deciding, is_expected=any(phase["xfail"] for phase in phases))
    cause = "" if outcome in ("passed", "xpassed") else cause_of(deciding["text"])
    return Result(outcome, cause, round(sum(phase.get("seconds", 0.0) for phase in phases), 2))


def outcome_of(phase: Mapping[str, Any], *, is_expected: bool) -> str:
    if phase["outcome"] == "failed":
        return "failed" if phase["when"] == "call" else "error"
    if phase["outcome"] == "skipped":
        return "xfailed" if is_expected else "skipped"
    return "xpassed" if is_expected else "passed"


def cause_of(text: str) -> str:
    """The last error of a traceback, or the reason of a skip, without the parts that differ between runs."""
    cause = skip_reason(text) or last_error(text)
    for pattern, replacement in VARIABLE:
        cause = pattern.sub(replacement, cause)
    return cause[:CAUSE_LENGTH]


def skip_reason(text: str) -> str | None:
    """The reason in pytest's text of a skip: a tuple of file, line and reason."""
    last = text.strip().rpartition("\n")[2]
    if not re.match(r"\(.*Skipped", last):
        return None
    return str(ast.literal_eval(last)[-1]).removeprefix("Skipped: ")


def last_error(text: str) -> str:
    """The last block of lines that pytest marks with an E, on one line."""
    block: list[str] = []
    is_open = False
    for line in text.splitlines():
        is_error = line.startswith("E ")
        if is_error and not is_open:
            block = []
        if is_error:
            block.append(line[2:].strip())
        is_open = is_error
    return " ".join(block) or text.strip().rpartition("\n")[2]


def by_directory(results: Mapping[str, Result]) -> dict[str, Counter[str]]:
    """The number of tests per outcome and directory of tests/system_tests."""
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for test, result in results.items():
        path = test.partition("::")[0].split("/")
        table[path[2] if len(path) > 2 else path[-1]][result.outcome] += 1
    return dict(sorted(table.items()))


def by_cause(results: Mapping[str, Result], outcomes: Iterable[str]) -> dict[str, list[str]]:
    """The tests of each cause, the most frequent cause first."""
    causes: defaultdict[str, list[str]] = defaultdict(list)
    for test, result in results.items():
        if result.outcome in outcomes:
            causes[result.cause].append(test)
    return dict(sorted(causes.items(), key=lambda item: -len(item[1])))


def format_table(table: Mapping[str, Counter[str]]) -> str:
    rows = [*table.items(), ("in all", sum(table.values(), Counter()))]
    shown = [outcome for outcome in OUTCOMES if outcome in OUTCOMES[:4] or rows[-1][1][outcome]]
    width = max(len(name) for name, _ in rows)
    lines = [" ".join([" " * width, *(f"{outcome:>8}" for outcome in shown)])]
    lines += [" ".join([f"{name:<{width}}", *(f"{counts[outcome]:>8}" for outcome in shown)]) for name, counts in rows]
    return "\n".join(lines)


def format_causes(title: str, causes: Mapping[str, list[str]]) -> str:
    """The causes, each with the number of its tests and the first of them."""
    lines = [f"{len(tests):>4}  {cause}\n      {tests[0]}" for cause, tests in causes.items()]
    return "\n".join([title, *lines]) if lines else ""


def to_json(results: Mapping[str, Result], facts: Mapping[str, str]) -> str:
    document = {
        **facts,
        "directories": by_directory(results),
        "causes": by_cause(results, ("failed", "error")),
        "skips": by_cause(results, ("skipped",)),
        "tests": {test: asdict(result) for test, result in results.items()},
    }
    return json.dumps(document, indent=1) + "\n"
