"""Passes a dataset from one task to another as a W&B artifact, so that W&B shows which run made and used it.

WANDB_API_KEY=... python examples/artifacts.py       on this machine
python examples/artifacts.py --remote                on the cluster that Flyte is configured for
"""

import sys
import tempfile
from pathlib import Path

import flyte
import numpy as np
from flyteplugins.wandb import get_wandb_run, log_wandb_artifact, use_wandb_artifact, wandb_config, wandb_init
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

env = flyte.TaskEnvironment(
    name="artifacts",
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl scikit-learn"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
)


@wandb_init
@env.task
async def prepare() -> str:
    """Logs the digits as an artifact. The same bytes are the same version, in a retry too."""
    images, labels = load_digits(return_X_y=True)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "digits.npz"), images=images / 16, labels=labels)
        artifact = await log_wandb_artifact.aio(folder, name="digits", type="dataset", metadata={"size": len(labels)})
    return str(artifact)


@wandb_init
@env.task
async def train(dataset: str) -> float:
    """Uses exactly that version, downloaded and verified."""
    run = get_wandb_run(required=True)
    folder = await use_wandb_artifact.aio(dataset)
    digits = np.load(Path(await folder.download(), "digits.npz"))
    model = SGDClassifier(random_state=0).fit(digits["images"], digits["labels"])
    accuracy = float(model.score(digits["images"], digits["labels"]))
    run.log({"accuracy": accuracy})
    return accuracy


@env.task
async def pipeline() -> float:
    """Is not decorated: each of the two tasks has a separate W&B run, in one group."""
    return await train(await prepare())


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-examples", tags=["digits"])
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(pipeline)
    run.wait()
    print(run.url, run.outputs())
