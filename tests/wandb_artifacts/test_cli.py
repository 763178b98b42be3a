"""The command without a server: help, errors, output, imports."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
import pytest
import wandb_artifacts
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from wandb_artifacts import (
    DownloadedFile,
    DownloadError,
    Failure,
    InvalidValueError,
    Progress,
    RunDownload,
    RunRef,
    SweepDownload,
    SweepRef,
)
from wandb_artifacts._cli import messages, output
from wandb_artifacts._cli.bars import Bars
from wandb_artifacts._cli.commands import group
from wandb_artifacts._cli.messages import Exit, code_of
from wandb_artifacts._cli.progress import Lines, Tally

from tests.wandb_artifacts.command import command

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = RunRef("team", "digits", "abc")
SWEEP = SweepRef("team", "digits", "x7")


def progress(name: str = "a.bin", state: str = "receiving", received: int = 0, **fields: Any) -> Progress:
    given = {"run": RUN, "name": name, "state": state, "received": received, "size": 1000, **fields}
    return Progress(**given)


def file(name: str, size: int, state: str = "new") -> DownloadedFile:
    return DownloadedFile(name, name, size, "0" * 32, state)  # type: ignore[arg-type]


def run_download(**fields: object) -> RunDownload:
    given = {"run": RUN, "destination": "data", "run_state": "finished", "files": (), **fields}
    return RunDownload(**given)  # type: ignore[arg-type]


def test_help_lists_examples_exit_codes_and_variables() -> None:
    """Every command and every option has a help text."""
    text = command("--help").stdout

    for part in ("Examples", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_PROJECT", "netrc"):
        assert part in text
    for code in Exit:
        assert re.search(rf"\b{code:d}\b", text), code
    for name, subcommand in group.commands.items():
        assert f"  {name} " in text
        shown = CliRunner().invoke(group, [name, "--help"]).output
        for option in subcommand.params:
            if isinstance(option, click.Option):
                assert option.help
                assert option.opts[0] in shown


def test_no_arguments_print_help_and_exit_2() -> None:
    """A script that forgets its arguments fails."""
    done = command()

    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == command("--help").stdout


def test_version_option_prints_the_package_version() -> None:
    assert command("--version").stdout == f"wandb-artifacts, version {wandb_artifacts.__version__}\n"


def test_help_imports_no_download_modules() -> None:
    code = (
        "import sys; from wandb_artifacts._cli.main import call; call(['--help']);"
        "print([name for name in ('aiohttp', 'asyncio', 'rich', 'fsspec', 'tenacity', 'wandb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run"], ["REF", "--help"]),
        (["walk"], ["walk"]),
        (["run", "t/p/r", "--jobz", "3"], ["--jobz"]),
        (["run", "t/p/r", "-j", "many"], ["--jobs", "many"]),
        (["run", "t/p/r", "--jobs", "0"], ["--jobs 0", "from 1 to 128"]),
        (["run", "t/p/r", "--deadline", "-1"], ["--deadline -1.0", "above 0"]),
        (["run", "t/p/r", "--history-format", "csv"], ["--history-format", "csv", "parquet"]),
        (["run", "t/p/r", "--include", ""], ["--include ''", "pattern"]),
        (["run", "abc"], ["REF 'abc'", "WANDB_ENTITY"]),
        (["run", "https://wandb.ai/t/p/sweeps/s"], ["REF", "is not a run"]),
        (["sweep", "a/b/c/d/e"], ["REF 'a/b/c/d/e'", "is not a sweep"]),
        (["ls", "abc", "--sweep"], ["REF 'abc'", "WANDB_ENTITY"]),
        (["run", "t/p/r", "--host", "nowhere"], ["--host 'nowhere'", "https://"]),
        (["run", "https://wandb.ai/t/p/runs/r", "--host", "http://own:1"], ["--host 'http://own:1'", "omit one"]),
    ],
)
def test_invalid_arguments_exit_2_with_one_line(
    arguments: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the value, in the words of the command line, and what to do; with --json as a document too."""
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    done = command(*arguments, "--json")
    error = json.loads(done.stdout)["error"]

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(part in done.stderr for part in expected), done.stderr
    assert done.stderr == f"Error: {error['message']}\n"


@pytest.mark.parametrize("given", ["s3cret", "=s3cret"])
def test_storage_option_is_never_shown(given: str) -> None:
    """The value may be a credential."""
    done = command("run", "t/p/r", "--storage-option", given)

    assert done.returncode == 2
    assert "KEY=VALUE" in done.stderr
    assert "s3cret" not in done.stderr


def test_storage_options_are_parsed_as_json_or_text() -> None:
    """Numbers and nested options are parsed; everything else is text."""
    (option,) = (option for option in group.commands["run"].params if option.name == "storage_options")
    context = click.Context(group.commands["run"])
    given = ("anon=true", "key=AKIA=x", 'client_kwargs={"endpoint_url": "http://h"}', "n=3", "empty=")

    found = option.process_value(context, given)

    expected = {"anon": True, "key": "AKIA=x", "client_kwargs": {"endpoint_url": "http://h"}, "n": 3, "empty": ""}
    assert found == expected


def test_verify_without_manifest_exits_4(tmp_path: object) -> None:
    done = command("verify", str(tmp_path))

    assert done.returncode == 4
    assert "manifest.json" in done.stderr


def test_every_error_has_an_exit_code() -> None:
    """Each error has the exit code that --help lists."""
    expected = {
        "AuthenticationError": 3,
        "AccessDeniedError": 3,
        "NotFoundError": 4,
        "ServerUnavailableError": 5,
        "ServerAnswerError": 5,
        "DeadlineError": 5,
        "DestinationError": 6,
        "IncompleteDownloadError": 1,
    }
    module = import_module("wandb_artifacts")
    kinds = {name for name in module.__all__ if _is_download_error(getattr(module, name))} - {"DownloadError"}

    assert kinds == expected.keys()
    for name in kinds - {"IncompleteDownloadError"}:
        assert code_of(getattr(module, name)("x")) == expected[name]
    assert code_of(wandb_artifacts.IncompleteDownloadError(run_download())) == 1
    assert code_of(InvalidValueError("jobs", 0, "no")) == 2


def _is_download_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, DownloadError)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9994, "9.99 kB"),
        (9995, "10.0 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (2_345_678_901, "2.35 GB"),
        (10**19, "10000 PB"),
    ],
)
def test_sizes_have_three_digits(count: int, expected: str) -> None:
    assert output.size(count) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (61, "1:01"), (3599.7, "1:00:00"), (7325, "2:02:05")],
)
def test_durations_are_formatted(number: float, expected: str) -> None:
    assert output.seconds(number) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T16:02:24Z", "2026-11-24 16:02:24"),
        ("2026-11-24T16:02:24.123456", "2026-11-24 16:02:24"),
        (None, "-"),
        ("yesterday", "-"),
    ],
)
def test_times_are_formatted(text: str | None, expected: str) -> None:
    assert output.time(text) == expected


@given(st.text())
def test_control_characters_in_names_are_escaped(name: str) -> None:
    assert output.printable(name).isprintable()


@given(st.text(), st.integers(min_value=4, max_value=40))
def test_shortened_name_fits_the_width(name: str, width: int) -> None:
    assert len(output.shortened(name, width)) <= width


def test_long_lists_are_truncated() -> None:
    """The last line counts the rest."""
    text = output.listed([str(number) for number in range(1025)])

    assert text.splitlines()[1] == "  0"
    assert text.splitlines()[-1] == "  ... and 1,005 more (--json lists all)"


def test_tables_are_aligned() -> None:
    """A cell may be wider than its head."""
    text = output.table(("A", "LONG", "N"), [("1", "2", "x"), ("333", "4", "yy")], right=frozenset({0}))

    assert text.splitlines() == [
        "  A  LONG  N",
        "  1  2     x",
        "333  4     yy",
    ]


def test_run_summary_has_files_rows_and_folder() -> None:
    """An active run is reported as such, and stale files are listed."""
    files = (file("a", 1_000_000), file("b", 500, "kept"))
    result = run_download(files=files, history_rows=1234, run_state="running", stale=("old\x1b", "older"))

    assert messages.summary(result, 61.2).splitlines() == [
        "run team/digits/abc (running) is complete in data",
        "  2 files: 1 new (1.00 MB), 1 kept (500 B); 1,234 rows of history; 1:01",
        "  it was still active; the same command fetches what is logged later",
    ]
    assert (messages.stale(result) or "").splitlines()[1:] == ["  old\\x1b", "  older"]
    assert messages.stale(run_download()) is None


def test_sweep_summary_adds_up_its_runs() -> None:
    runs = (run_download(files=(file("a", 1),), stale=("x",)), run_download(files=(file("b", 2),), history_rows=1))
    result = SweepDownload(SWEEP, "data", "FINISHED", runs, stale=("gone",))

    assert messages.summary(result, 1).splitlines() == [
        "sweep team/digits/x7 (FINISHED, 2 runs) is complete in data",
        "  2 files: 2 new (3 B); 1 row of history; 1.0 s",
    ]
    assert (messages.stale(result) or "").splitlines()[1:] == ["  gone/", "  abc/x"]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (run_download(failed=(Failure("a", "gone"),)), ["1 file is missing", "a: gone"]),
        (run_download(failed=(Failure("a", "x"), Failure("b", "y"))), ["2 files are missing", "a: x", "b: y"]),
        (SweepDownload(SWEEP, "data", "s", (), failed=(Failure("abc", "no"),)), ["1 run is missing", "abc: no"]),
        (
            SweepDownload(SWEEP, "data", "s", (run_download(failed=(Failure("a", "x"),)),)),
            ["1 file is missing", "abc/a: x"],
        ),
        (
            SweepDownload(
                SWEEP, "data", "s", (run_download(failed=(Failure("a", "x"),)),), failed=(Failure("r2", "no"),)
            ),
            ["1 run and 1 file are missing", "r2: no", "abc/a: x"],
        ),
    ],
)
def test_missing_files_are_listed(result: RunDownload | SweepDownload, expected: Sequence[str]) -> None:
    """Each is listed by name, with its reason."""
    head, *lines = messages.incomplete(result).splitlines()

    assert f": {expected[0]}; run the same command to fetch them" in head
    assert [line.strip() for line in lines] == list(expected[1:])


def test_progress_lines_are_limited() -> None:
    """A line is logged every few seconds; files that were there already do not count."""
    times, logged = iter((0.0, 0.1, 1.0, 4.9, 5.0, 5.1, 9.9, 10.0)), list[str]()
    lines = Lines(logged.append, clock=lambda: next(times))
    lines(progress("k", "kept", 500, size=500, files_done=1, files_known=4, bytes_done=500, bytes_known=3500))
    for _ in range(5):
        lines(progress(received=400, files_done=1, files_known=4, bytes_done=900, bytes_known=3500))
    lines(progress("lost", "failed", files_done=1, files_known=4, bytes_done=1500, bytes_known=3500))

    assert logged == [
        "  5.0 s: 0 of 3 files, 400 B of 3.00 kB, 80 B/s",
        "  10.0 s: 0 of 3 files, 1.00 kB of 3.00 kB, 100 B/s, 1 failed",
    ]


def drawn(tally: Tally) -> str:
    """Return everything that was drawn."""
    screen = io.StringIO()
    with Bars(Console(file=screen, width=140, force_terminal=True, color_system=None)) as bars:
        bars.tally = tally
        bars.refresh()
    return screen.getvalue()


def test_bars_show_active_files() -> None:
    """Names are not markup; the history shows rows; complete files disappear."""
    tally = Tally()
    known: dict[str, Any] = {"files_known": 3, "bytes_known": 2000}
    tally.add(progress("[red]a", received=100, bytes_done=100, **known))
    tally.add(progress("metrics_history.json", size=None, rows=12_345, bytes_done=100, **known))
    tally.add(progress("b\x1b[2J", received=5, bytes_done=105, **known))
    text = drawn(tally)
    tally.add(progress("[red]a", "done", 1000, files_done=1, bytes_done=1005, **known))
    after = drawn(tally)

    assert "[red]a" in text
    assert "100 B of 1.00 kB" in text
    assert "12,345 rows" in text
    assert "\x1b[2J" not in text
    assert "0 of 3 files, 105 B of 2.00 kB" in text
    assert "[red]a" not in after
    assert "1 of 3 files, 1.00 kB of 2.00 kB" in after


def test_number_of_bars_is_limited() -> None:
    """The total is always shown."""
    tally = Tally()
    for number in range(100):
        tally.add(progress(f"file-{number}"))

    text = drawn(tally)

    assert len(set(re.findall(r"file-\d+", text))) == 8
    assert "total" in text
