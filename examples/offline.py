"""Logs offline, and syncs the run to W&B later.

    WANDB_API_KEY=... python examples/offline.py       on this machine, which needs the key for the sync only
    python examples/offline.py --remote                on the cluster that Flyte is configured for

On a cluster Flyte stores the offline run when its task ends, and `flyte wandb sync RUN` delivers it. A task that is to
log online and to survive an outage has `on_unavailable="offline"` in place of `mode="offline"`.
"""

import subprocess
import sys
from pathlib import Path

import flyte
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init

env = flyte.TaskEnvironment(
    name="offline",
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl"])
    ),
    # No secret: nothing is sent from the cluster.
)


@wandb_init(mode="offline", name="offline")
@env.task
async def train(steps: int = 10) -> str:
    """Logs to a local directory, and returns it."""
    run = get_wandb_run(required=True)
    for step in range(steps):
        run.log({"loss": 1 / (step + 1)})
    return str(Path(run.dir).parent)


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-examples")
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(train)
    run.wait()
    # On a cluster the directory of the task is gone; Flyte has stored it.
    sync = ["flyte", "wandb", "sync", run.name] if remote else ["wandb", "sync", run.outputs()[0]]
    print(f"{run.url}: syncing it by {' '.join(sync)}")
    subprocess.run(sync, check=True)
