"""`flyte wandb`: its commands and their options.

Flyte imports this module for `flyte --help`, so each command imports its implementation when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from typing import Any

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


class _DownloadCommand(click.RichCommand):
    """A command with the options of `wandb-artifacts`, which are imported when they are needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        from wandb_artifacts.cli import download_options

        known = {param.name for param in self.params}
        self.params += [option for option in download_options() if option.name not in known]
        return super().get_params(ctx)


@wandb.command(cls=_DownloadCommand)
@click.argument("ref", metavar="RUN_OR_SWEEP_OR_ARTIFACT")
@click.argument("dest", required=False)
@click.pass_obj
def download(flyte: FlyteCli, /, ref: str, *, as_json: bool, **given: Any) -> None:
    """Download a W&B run, sweep or artifact, or the W&B runs of a Flyte run, verified and resumable.

    A run or sweep of W&B is entity/project/id, an artifact entity/project/name:alias; or give the URL of its page, or a
    shorter form that WANDB_ENTITY and WANDB_PROJECT complete. The name of a Flyte run stands for all W&B runs that its
    tasks opened; with an action, such as r7k2m9/a0, for those of that task.

    DEST is a folder or an fsspec URL; default: a folder that is named by the id. A Flyte run gets a folder for each W&B
    run, and an index, runs.jsonl. After any failure, fetched data is kept, and the same command resumes.

    The exit codes are those of wandb-artifacts: 0 complete; 1 files are missing; 2 invalid option or value; 3 no API
    key, a rejected key, or no access; 4 not found; 5 W&B or Flyte is unreachable, or its response is invalid; 6 the
    destination is not writable; 130 stopped by Ctrl-C.
    """
    from wandb_artifacts.cli import run_command

    from wandb_runtime.cli.download import download_reference

    run_command(lambda: download_reference(ref, flyte=flyte, as_json=as_json, **given), as_json=as_json)
