"""The commands and their options. Each command imports its implementation when it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wandb_artifacts._download.options import DEFAULT_JOBS, Ref, read_artifact, read_project, read_ref
from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._refs import RunRef, SweepRef, app_url, check_host, describe_page
from wandb_artifacts._version import __version__

if TYPE_CHECKING:
    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._project_refs import ProjectRef

F = TypeVar("F", bound=Callable[..., Any])

_MORE = """\b
Examples:
  wandb-artifacts run my-team/my-project/abc123
  wandb-artifacts run https://wandb.ai/my-team/my-project/runs/abc123 data
  wandb-artifacts run abc123 --include '*.pt' --no-history
  wandb-artifacts sweep my-team/my-project/x7k2 s3://bucket/sweep
  wandb-artifacts runs my-team/my-project data --tag paper --state finished
  wandb-artifacts artifact my-team/my-project/model:latest
  wandb-artifacts ls my-team/my-project/abc123
  wandb-artifacts verify data

\b
REF is entity/project/id (of an artifact: entity/project/name:alias), the URL
of its page, or a shorter form that WANDB_ENTITY and WANDB_PROJECT complete.

\b
Environment:
  WANDB_API_KEY   the API key; default: the key of 'wandb login' in ~/.netrc
                  (NETRC sets another file)
  WANDB_BASE_URL  the API base URL of your own W&B server
  WANDB_ENTITY    the default entity of REF
  WANDB_PROJECT   the default project of REF
  Proxies, certificates and identity tokens: as for the wandb SDK.

\b
Exit codes:
    0  complete
    1  files are missing (run, sweep, runs, artifact) or differ (verify)
    2  invalid option or value
    3  no API key, a rejected key, or no access
    4  run, sweep, project or artifact not found; nothing to verify
    5  W&B is unreachable, timed out, or returned an invalid response
    6  the destination is not writable: full, not permitted, in use
   70  a bug in this program
  130  stopped by Ctrl-C; 143: by SIGTERM

After any failure, fetched data is kept, no partial file has its final name,
and the same command resumes.
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]}, epilog=_MORE, options_metavar="", no_args_is_help=False
)
@click.version_option(__version__, prog_name="wandb-artifacts")
def group() -> None:
    """Download W&B runs, sweeps, projects and artifacts, verified and resumable."""


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


def _json_object(_: click.Context, parameter: click.Parameter, text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        msg = f"{text!r} is not JSON: {error}"
        raise click.BadParameter(msg, param=parameter) from None
    if not isinstance(found, dict):
        msg = f"""{text!r} is not a JSON object, such as '{{"config.lr": {{"$gt": 0.1}}}}'"""
        raise click.BadParameter(msg, param=parameter)
    return found


_HOST = click.option(
    "--host", metavar="URL", help="API base URL of the W&B server; gets the API key, like WANDB_BASE_URL."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, also for errors.")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
_STORAGE = click.option(
    "--storage-option",
    "storage_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_storage_options,
    help="fsspec option for DEST. VALUE is parsed as JSON if possible, else it is text. Repeatable.",
)
_SELECTION = (
    click.option(
        "--filter",
        "filters",
        metavar="JSON",
        callback=_json_object,
        help="""W&B's own filters, such as '{"config.lr": {"$gt": 0.1}}'.""",
    ),
    click.option(
        "--tag", "tags", multiple=True, metavar="TAG", help="Only runs with this tag; repeat it for any of several."
    ),
    click.option(
        "--state",
        "states",
        multiple=True,
        metavar="STATE",
        help="Only runs in this state; repeat it for any of several.",
    ),
    click.option("--group", metavar="NAME", help="Only runs of this group."),
    click.option("--job-type", metavar="NAME", help="Only runs of this job type."),
    click.option("--created-after", metavar="ISO", help="Only runs created at this date or time (UTC), or later."),
    click.option("--created-before", metavar="ISO", help="Only runs created at this date or time (UTC), or earlier."),
    click.option("--limit", type=int, metavar="N", help="At most N runs, the oldest first."),
    click.option("--dry-run", is_flag=True, help="Count runs, files and bytes; download nothing."),
)
_CHOICE = (
    click.option(
        "--include", multiple=True, metavar="PATTERN", help="Only files that match; '*' also matches '/'. Repeatable."
    ),
    click.option(
        "--exclude", multiple=True, metavar="PATTERN", help="Skip files that match, even if included. Repeatable."
    ),
    click.option("-j", "--jobs", type=int, default=DEFAULT_JOBS, show_default=True, help="Number of connections."),
    click.option("--deadline", type=float, metavar="SECONDS", help="Time limit for the whole command."),
)
_HISTORY = (
    click.option("--no-history", is_flag=True, help="Skip the logged rows."),
    click.option(
        "--history-format",
        type=click.Choice(["json", "jsonl", "parquet"]),
        default="json",
        show_default=True,
        help="An array of rows, one row per line, or Parquet. Parquet needs wandb-artifacts[parquet], which also "
        "speeds up long histories in any format: it reads W&B's own exports.",
    ),
)
_COMMON = (_STORAGE, _HOST, _JSON, _QUIET)
_DOWNLOAD = (*_CHOICE, *_HISTORY, *_COMMON)
_TRANSFER = (*_CHOICE, *_COMMON)


def _options(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@group.command(short_help="Download a run.")
@click.argument("ref")
@click.argument("dest", required=False)
@_options(_DOWNLOAD)
def run(ref: str, host: str | None, **given: Any) -> int:
    """Download a run to the folder DEST: a path or an fsspec URL; default: ./ID.

    The folder gets all files of the run, summary.json, config.json, run.json (its identity), metrics_history.json with
    every logged row, and manifest.json.
    """
    from wandb_artifacts._cli.download import download_run_to

    return download_run_to(read_ref_at(RunRef, ref, host), **given)


@group.command(short_help="Download all runs of a sweep.")
@click.argument("ref")
@click.argument("dest", required=False)
@_options(_DOWNLOAD)
def sweep(ref: str, host: str | None, **given: Any) -> int:
    """Download all runs of a sweep, each to a folder in DEST that is named by its id.

    DEST is a path or an fsspec URL; default: ./ID.
    """
    from wandb_artifacts._cli.download import download_sweep_to

    return download_sweep_to(read_ref_at(SweepRef, ref, host), **given)


@group.command(short_help="Download the runs of a project.")
@click.argument("project", metavar="ENTITY/PROJECT")
@click.argument("dest", required=False)
@_options(_SELECTION)
@_options(_DOWNLOAD)
def runs(project: str, host: str | None, **given: Any) -> int:
    """Download the runs of a project, each to a folder in DEST that is named by its id, and an index of them.

    DEST is a path or an fsspec URL; default: ./PROJECT. It gets runs.jsonl (with --history-format parquet:
    runs.parquet) with one row per run: its name, state, times, user, tags, config, summary and folder. The same
    command later fetches what has changed.
    """
    from wandb_artifacts._cli.download import download_runs_to

    use_host(host)
    ref = read_project(project)
    _check_host(host, project, ref.host)
    return download_runs_to(ref, **given)


@group.command(short_help="Download a version of an artifact.")
@click.argument("ref")
@click.argument("dest", required=False)
@click.option("--no-references", is_flag=True, help="Skip files that W&B does not store (s3://, https://, ...).")
@_options(_TRANSFER)
def artifact(ref: str, host: str | None, **given: Any) -> int:
    """Download a version of an artifact to the folder DEST: a path or an fsspec URL; default: ./NAME.

    REF is entity/project/name:alias, where the alias may be a version such as v3 and defaults to latest; or the URL of
    its page. Every file is compared with the digest in the artifact's manifest, and references with their ETag or size.
    """
    from wandb_artifacts._cli.download import download_artifact_to

    return download_artifact_to(read_artifact_at(ref, host), **given)


@group.command()
@click.argument("ref")
@click.option("--artifacts", "wants_artifacts", is_flag=True, help="List the artifacts of a project, not its runs.")
@click.option("--sweep", "is_sweep", is_flag=True, help="REF is a sweep. Not needed for the URL of its page.")
@_HOST
@_JSON
def ls(ref: str, host: str | None, *, wants_artifacts: bool, is_sweep: bool, as_json: bool) -> int:
    """List the files of a run or artifact, or the runs of a sweep or project.

    REF of a project is entity/project, that of an artifact entity/project/name:alias.
    """
    from wandb_artifacts._cli.list import list_project, list_run, list_sweep

    if wants_artifacts and is_sweep:
        msg = "--artifacts is for a project, --sweep for a sweep; omit one of them"
        raise click.UsageError(msg)
    if wants_artifacts or ("://" in ref and ref.endswith("/artifacts")):
        from wandb_artifacts._cli.list_artifacts import list_collections

        use_host(host)
        project_ref = read_project(ref)
        _check_host(host, ref, project_ref.host)
        return list_collections(project_ref, as_json=as_json)
    if is_artifact(ref) and not is_sweep:
        from wandb_artifacts._cli.list_artifacts import list_artifact

        return list_artifact(read_artifact_at(ref, host), as_json=as_json)
    if project := _project_of(ref, is_sweep=is_sweep):
        use_host(host)
        _check_host(host, ref, project.host)
        return list_project(project, as_json=as_json)
    if is_sweep or "/sweeps/" in ref:
        return list_sweep(read_ref_at(SweepRef, ref, host), as_json=as_json)
    return list_run(read_ref_at(RunRef, ref, host), as_json=as_json)


@group.command(short_help="Compare a download with its manifest.")
@click.argument("dest")
@_STORAGE
@_JSON
@_QUIET
def verify(**given: Any) -> int:
    """Read the files of a download in DEST, and compare them with the sizes and digests in its manifest.

    Sends no request to W&B.
    """
    from wandb_artifacts._cli.verify import verify_dest

    return verify_dest(**given)


def is_artifact(ref: str) -> bool:
    """Return whether a REF is that of an artifact."""
    return "/artifacts/" in ref or ":" in ref.rpartition("/")[2]


def _project_of(ref: str, *, is_sweep: bool) -> ProjectRef | None:
    """Return the project of a REF that names one; with WANDB_ENTITY, two parts name a run of a project."""
    if is_sweep:
        return None
    if "://" in ref:
        return read_project(ref) if describe_page(ref) is None else None
    parts = ref.strip("/").split("/")
    is_project = len(parts) == 2 and all(parts) and ":" not in ref
    return read_project(ref) if is_project and not os.environ.get("WANDB_ENTITY") else None


def use_host(host: str | None) -> None:
    """Use the server of the option --host."""
    if host is not None:
        # The user trusts the server of the option, so it gets the key of the environment.
        os.environ["WANDB_BASE_URL"] = check_host(host)


def read_ref_at(kind: type[Ref], text: str, host: str | None) -> Ref:
    """Parse REF.

    Raises:
        InvalidValueError: It is invalid, or contradicts --host.
    """
    use_host(host)
    parsed = read_ref(kind, text)
    _check_host(host, text, parsed.host)
    return parsed


def read_artifact_at(text: str, host: str | None) -> ArtifactRef:
    """Parse the REF of an artifact; see `read_ref_at`."""
    use_host(host)
    parsed = read_artifact(text)
    _check_host(host, text, parsed.host)
    return parsed


def _check_host(host: str | None, text: str, found: str | None) -> None:
    if host is not None and "://" in text and app_url(found) != app_url(host):
        reason = f"REF is a page of {app_url(found)}; omit one of them"
        raise InvalidValueError(field="host", value=host, reason=reason)
