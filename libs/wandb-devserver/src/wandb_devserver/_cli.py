"""Command `wandb-devserver`."""

from __future__ import annotations

import ipaddress
import signal
from pathlib import Path

import click
from platformdirs import user_data_path

from wandb_devserver._errors import DevServerError
from wandb_devserver._server import DevServer
from wandb_devserver._settings import DEFAULT_HEARTBEAT_TIMEOUT
from wandb_devserver._version import __version__

_RENAMED = {"allowed_hosts": "allowed-host", "export_after": "export-history"}
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--host", default="127.0.0.1", help="Host name or IP address to listen on.")
@click.option("--port", default=8080, type=click.IntRange(0, 65535), help="Port to listen on; 0 selects a free one.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: user_data_path("wandb-devserver", appauthor=False),
    show_default="your user data folder",
    help="Folder for all data; a later start with it shows the same runs.",
)
@click.option(
    "--api-key",
    envvar="WANDB_DEVSERVER_API_KEY",
    help="API key of the server, at least 40 characters. Default: the key in the data directory.",
)
@click.option("--entity", default="local", help="Entity of runs without one.")
@click.option(
    "--heartbeat-timeout",
    type=float,
    default=DEFAULT_HEARTBEAT_TIMEOUT,
    metavar="SECONDS",
    help="Time without a heartbeat after which a run is crashed, and a sweep agent lost.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Further host name of the server, beside localhost, --host and IP addresses. Repeatable.",
)
@click.option(
    "--export-history",
    "export_after",
    type=click.IntRange(min=0),
    metavar="N",
    help="Export history to Parquet files, as W&B does: all rows but the last N, and all rows of an ended run. "
    "Needs pyarrow.",
)
@click.version_option(__version__, prog_name="wandb-devserver")
def main(
    host: str,
    port: int,
    data_dir: Path,
    api_key: str | None,
    entity: str,
    heartbeat_timeout: float,
    allowed_hosts: tuple[str, ...],
    export_after: int | None,
) -> None:
    """Run a W&B-compatible server on this machine.

    Point the wandb SDK at it with the variables it prints. Stop it with Ctrl-C.
    """
    # Blocked, and waited for below: a handler could interrupt anything, a lock that it needs too. The threads of the
    # server inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        with DevServer(
            data_dir,
            host=host,
            port=port,
            api_key=api_key,
            entity=entity,
            heartbeat_timeout=heartbeat_timeout,
            allowed_hosts=allowed_hosts,
            export_after=export_after,
        ) as server:
            _announce(server, host)
            signal.sigwait(_STOP_SIGNALS)
    except DevServerError as error:
        raise click.ClickException(_with_option_names(str(error))) from error


def _announce(server: DevServer, host: str) -> None:
    if not _is_loopback(host):
        click.echo(
            f"Warning: --host {host} accepts connections from other machines; the key gives access to all runs.",
            err=True,
        )
    for name, value in server.env.items():
        click.echo(f"export {name}={value}")
    click.echo(f"# entity: {server.entity}")
    click.echo(f"# data: {server.data_dir}")
    click.echo(f"# sign in (once): {server.sign_in_url()}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _with_option_names(message: str) -> str:
    """Name the options of the command where the library names its arguments."""
    for argument in ("api_key", "data_dir", "heartbeat_timeout", "entity", *_RENAMED):
        if message.startswith(argument):
            return "--" + _RENAMED.get(argument, argument).replace("_", "-") + message.removeprefix(argument)
    return message.replace("cannot listen on host", "cannot listen on --host").replace(", port ", ", --port ")
