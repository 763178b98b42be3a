"""`flyte wandb`: its commands and their options.

Flyte imports this module for `flyte --help`, so each command imports its implementation when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from wandb_runtime.cli.flyte_api import FlyteCli


@click.group()
def wandb() -> None:
    """Check the connection to Weights & Biases, deliver runs that W&B lacks, download runs."""


@wandb.command()
@click.option("--project", metavar="NAME", help="The W&B project to check. Default: WANDB_PROJECT.")
@click.option(
    "--entity",
    metavar="NAME",
    help="The team or user that the project belongs to. Default: WANDB_ENTITY, then the default entity of the API key.",
)
@click.option("--host", metavar="URL", help="The API base URL of the W&B server. Default: WANDB_BASE_URL.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(ctx: click.Context, project: str | None, entity: str | None, host: str | None, *, as_json: bool) -> None:
    """Check everything that a W&B run in a Flyte task needs, on this machine.

    Checks versions, Flyte's configuration, directories, certificates, the proxy, whether the W&B server responds, the
    clock, the API key and its owner, and whether the owner may write to the project. It writes nothing to W&B, and
    prints no secret. What a check found wrong is printed with what to do about it.

    The exit code is 1 if a check failed, else 0. A check that depends on a failed one is skipped.
    """
    from wandb_runtime.cli.doctor import examine

    ctx.exit(examine(project=project, entity=entity, host=host, flyte=ctx.obj, as_json=as_json))


@wandb.command()
@click.argument("run")
@click.argument("action", required=False)
@click.option("--host", metavar="URL", help="The API base URL to deliver to. Default: the host that the run was for.")
@click.pass_obj
def sync(flyte: FlyteCli, run: str, action: str | None, host: str | None) -> None:
    """Deliver the W&B runs that the Flyte run RUN has stored, because they were offline or not uploaded completely.

    The directories of these runs are outputs of traces. They are downloaded and uploaded with 'wandb sync': rows, files
    and artifacts, in the order of attempts. ACTION limits it to one action, such as a0.

    Each delivery leaves a file in the W&B run, flyte-sync/..., by which the next call knows that it is done: a second
    call changes nothing. After a failure, the same command continues with what is missing.
    """
    from wandb_runtime.cli.sync import deliver

    deliver(run, action, host=host, flyte=flyte)
