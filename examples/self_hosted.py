"""Logs to a self-hosted W&B server, behind a proxy and with a certificate of a private authority.

    WANDB_BASE_URL=https://wandb.example.com WANDB_API_KEY=... python examples/self_hosted.py       on this machine
    WANDB_BASE_URL=https://wandb.example.com python examples/self_hosted.py --remote                on a cluster

`flyte wandb doctor --host https://wandb.example.com` checks the server, the key, the certificate and the clock.
"""

import os
import sys
from pathlib import Path

import flyte
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init

NAMES = ("WANDB_BASE_URL", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")
"""The server's URL; the proxy and the hosts without one; the file of the authority, as it is named in the image."""

env = flyte.TaskEnvironment(
    name="self-hosted",
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
    # What is set here is set in the pods too. The links of the Flyte console lead to the same server.
    env_vars={name: os.environ[name] for name in NAMES if name in os.environ},
)


@wandb_init(on_unavailable="offline", settings={"init_timeout": 60})
@env.task
async def train(steps: int = 10) -> str:
    """Logs to the server or, while it is unreachable, to a directory that Flyte stores."""
    run = get_wandb_run(required=True)
    for step in range(steps):
        run.log({"loss": 1 / (step + 1)})
    return run.url or "offline"


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-examples", host=os.environ.get("WANDB_BASE_URL"))
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(train)
    run.wait()
    print(run.url, run.outputs())
