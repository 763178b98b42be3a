"""A call of the command: from its arguments to its exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from wandb_artifacts._cli import output
from wandb_artifacts._cli.commands import group
from wandb_artifacts._cli.messages import Exit, code_of, in_words_of_command, incomplete, one_line, refusal
from wandb_artifacts._cli.signals import Interrupted, install_handlers
from wandb_artifacts._download.results import IncompleteDownloadError
from wandb_artifacts._errors import DestinationError, InvalidValueError, WandbPluginError
from wandb_artifacts._version import __version__


def call(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    return guarded(lambda: _run(arguments), wants_json="--json" in arguments)


def _run(arguments: Sequence[str]) -> int:
    if not arguments:
        group.main(["--help"], "wandb-artifacts", standalone_mode=False)
        return Exit.USAGE
    return int(group.main(list(arguments), "wandb-artifacts", standalone_mode=False) or Exit.COMPLETE)


def guarded(work: Callable[[], int], *, wants_json: bool) -> int:
    """Do the work of a command; report an exception in one line, and return its exit code."""
    output.prepare()
    try:
        install_handlers()
        return _guarded(work, wants_json=wants_json)
    except DestinationError as error:
        # Standard output is not writable.
        output.log(f"Error: {error}")
        return Exit.DESTINATION


def end(code: int) -> NoReturn:
    """End the process with the exit code of a command."""
    if code > 128:
        # A thread may still be reading a large file, and the interpreter would wait for it.
        os._exit(code)
    sys.exit(code)


def _guarded(work: Callable[[], int], *, wants_json: bool) -> int:
    try:
        return work()
    except click.ClickException as error:
        _report("UsageError", _usage(error), wants_json=wants_json)
        return Exit.USAGE
    except Interrupted as error:
        text = "interrupted; fetched data is kept, run the same command to resume"
        _report("Terminated" if error.signal_number == signal.SIGTERM else "Interrupted", text, wants_json=wants_json)
        return 128 + error.signal_number
    except IncompleteDownloadError as error:
        _report(type(error).__name__, incomplete(error.result), wants_json=wants_json, **error.result.to_dict())
        return Exit.INCOMPLETE
    except WandbPluginError as error:
        _report(type(error).__name__, _text(error), wants_json=wants_json)
        return code_of(error)
    except Exception as error:  # noqa: BLE001 - the user sees one line for any error
        _report(type(error).__name__, _bug(error), wants_json=wants_json)
        return Exit.BUG


def _report(kind: str, text: str, *, wants_json: bool, **found: Any) -> None:
    output.log(f"Error: {text}")
    if wants_json:
        output.put_json({**found, "error": {"type": kind, "message": text}})


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    more = f" (see '{context.command_path} --help')" if context else ""
    return one_line(error.format_message().rstrip(".")) + more


def _text(error: WandbPluginError) -> str:
    return one_line(refusal(error) if isinstance(error, InvalidValueError) else in_words_of_command(str(error)))


def _bug(error: Exception) -> str:
    """Report where an unexpected error was raised, without its text, which may contain a signed URL."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{where}; this is a bug of wandb-artifacts {__version__}, please report it"
