"""The commands and their options; what they do is elsewhere, and loaded when it is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from wandb_artifacts._download.options import DEFAULT_JOBS, Ref, read_ref
from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._refs import RunRef, SweepRef, app_url, check_host
from wandb_artifacts._version import __version__

F = TypeVar("F", bound=Callable[..., Any])

_MORE = """\b
Examples:
  wandb-artifacts run my-team/my-project/abc123
  wandb-artifacts run https://wandb.ai/my-team/my-project/runs/abc123 data
  wandb-artifacts run abc123 --include '*.pt' --no-history
  wandb-artifacts sweep my-team/my-project/x7k2 s3://bucket/sweep
  wandb-artifacts ls my-team/my-project/abc123
  wandb-artifacts verify data

\b
REF is entity/project/id, the address of a page of the W&B app, or less where
the environment says the rest.

\b
Environment:
  WANDB_API_KEY   the key; without it, the one that 'wandb login' left in
                  ~/.netrc (NETRC names another file) is used
  WANDB_BASE_URL  the API address of the W&B server, if it is one of your own
  WANDB_ENTITY    the entity of a REF that names none
  WANDB_PROJECT   the project of a REF that names none

\b
Exit codes:
    0  everything asked for is there
    1  something is missing (run, sweep) or differs (verify)
    2  an option or a value cannot be meant
    3  no key, a wrong key, or no access
    4  no such run or sweep; nothing to verify
    5  W&B is not reachable, or did not answer in time or sense
    6  the destination cannot be written: full, not permitted, in use
   70  a bug of this program
  130  stopped by Ctrl-C; 143: by SIGTERM

Whatever ended it early: what has arrived is kept, no file is there by half,
and the same command goes on from there.
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]}, epilog=_MORE, options_metavar="", no_args_is_help=False
)
@click.version_option(__version__, prog_name="wandb-artifacts")
def group() -> None:
    """Download W&B runs and sweeps: verified, and resumed where it was interrupted."""


def _storage_options(_: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            # Not shown: it may be a credential.
            msg = "must be KEY=VALUE, such as anon=true"
            raise click.BadParameter(msg, param=parameter)
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


_HOST = click.option(
    "--host", metavar="URL", help="API address of the W&B server; instead of WANDB_BASE_URL, and as trusted."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, errors too.")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
_STORAGE = click.option(
    "--storage-option",
    "storage_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_storage_options,
    help="What fsspec needs for DEST; VALUE is JSON, or else text. May be repeated.",
)
_OPTIONS = (
    click.option(
        "--include", multiple=True, metavar="PATTERN", help="Only files that match; '*' also matches '/'. Repeatable."
    ),
    click.option("--exclude", multiple=True, metavar="PATTERN", help="No files that match, not even included ones."),
    click.option("-j", "--jobs", type=int, default=DEFAULT_JOBS, show_default=True, help="Connections to use."),
    click.option("--deadline", type=float, metavar="SECONDS", help="How long it may take in all."),
    click.option("--no-history", is_flag=True, help="Leave the logged rows out."),
    click.option(
        "--history-format",
        type=click.Choice(["json", "jsonl", "parquet"]),
        default="json",
        show_default=True,
        help="An array of rows, a row a line, or Parquet (needs wandb-artifacts[parquet]).",
    ),
    _STORAGE,
    _HOST,
    _JSON,
    _QUIET,
)


def _download_options(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@group.command(short_help="Download a run.")
@click.argument("ref")
@click.argument("dest", required=False)
@_download_options
def run(ref: str, host: str | None, **given: Any) -> int:
    """Download a run to the folder DEST: a path or an fsspec URL; by default its id, here.

    All its files, summary.json, metrics_history.json with every logged row, and manifest.json.
    """
    from wandb_artifacts._cli.download import download_run_to

    return download_run_to(_read_ref(RunRef, ref, host), **given)


@group.command(short_help="Download all runs of a sweep.")
@click.argument("ref")
@click.argument("dest", required=False)
@_download_options
def sweep(ref: str, host: str | None, **given: Any) -> int:
    """Download all runs of a sweep, each to a folder in DEST that is named by its id.

    DEST is a path or an fsspec URL; by default the sweep's id, here.
    """
    from wandb_artifacts._cli.download import download_sweep_to

    return download_sweep_to(_read_ref(SweepRef, ref, host), **given)


@group.command()
@click.argument("ref")
@click.option("--sweep", "is_sweep", is_flag=True, help="REF is a sweep; its page's address says so by itself.")
@_HOST
@_JSON
def ls(ref: str, host: str | None, *, is_sweep: bool, as_json: bool) -> int:
    """List the files of a run, or the runs of a sweep."""
    from wandb_artifacts._cli.list import list_run, list_sweep

    if is_sweep or "/sweeps/" in ref:
        return list_sweep(_read_ref(SweepRef, ref, host), as_json=as_json)
    return list_run(_read_ref(RunRef, ref, host), as_json=as_json)


@group.command(short_help="Compare what was downloaded with its manifest.")
@click.argument("dest")
@_STORAGE
@_JSON
@_QUIET
def verify(**given: Any) -> int:
    """Read what was downloaded to DEST, and compare it with the sizes and digests in its manifest.

    Asks W&B nothing.
    """
    from wandb_artifacts._cli.verify import verify_dest

    return verify_dest(**given)


def _read_ref(kind: type[Ref], text: str, host: str | None) -> Ref:
    """The run or sweep that is meant.

    Raises:
        InvalidValueError: It is none, or the options contradict it.
    """
    if host is not None:
        # Whoever gives the option trusts that server, so the key in the environment is for it.
        os.environ["WANDB_BASE_URL"] = check_host(host)
    place = read_ref(kind, text)
    if host is not None and "://" in text and app_url(place.host) != app_url(host):
        reason = f"REF is a page of {app_url(place.host)}; leave one of them out"
        raise InvalidValueError(field="host", value=host, reason=reason)
    return place
