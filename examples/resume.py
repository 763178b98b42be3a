"""Continues training after a preemption: the model from a Flyte checkpoint, the history in the same W&B run.

    WANDB_API_KEY=... python examples/resume.py       on this machine
    python examples/resume.py --remote                on the cluster that Flyte is configured for

The first attempt fails in the middle. On a cluster the eviction of a pod does that: then the run is "preempted" until
the next attempt continues it.
"""

import pickle
import sys
from pathlib import Path

import flyte
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

env = flyte.TaskEnvironment(
    name="resume",
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl scikit-learn"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
)


@wandb_init(name="resumed")
@env.task(retries=2)
async def train(epochs: int = 10, fail_after: int = 4) -> int:
    """Trains from the last checkpoint on, and returns the epoch at which this attempt began."""
    run = get_wandb_run(required=True)
    context = flyte.ctx()
    assert context is not None
    checkpoint = context.checkpoint
    assert checkpoint is not None
    first, model = 0, SGDClassifier(loss="log_loss", random_state=0)
    saved = await checkpoint.load()
    if saved is not None:
        first, model = pickle.loads(saved.read_bytes())
    images, labels = load_digits(return_X_y=True)
    for epoch in range(first, epochs):
        model.partial_fit(images / 16, labels, classes=range(10))
        run.log({"epoch": epoch, "accuracy": float(model.score(images / 16, labels))})
        await checkpoint.save(pickle.dumps((epoch + 1, model)))
        if saved is None and epoch == fail_after:
            msg = "preempted"
            raise RuntimeError(msg)
    return first


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-examples", tags=["digits"])
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(train)
    run.wait()
    print(f"{run.url}: the last attempt began at epoch {run.outputs()[0]}")
