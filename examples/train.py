"""Trains a classifier of handwritten digits in one Flyte task, with one W&B run.

    WANDB_API_KEY=... python examples/train.py       on this machine
    python examples/train.py --remote                on the cluster that Flyte is configured for

The cluster needs the key, `flyte create secret wandb-api-key`, and the wheels in dist/ (README, "Install").
"""

import sys
from pathlib import Path

import flyte
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

env = flyte.TaskEnvironment(
    name="train",
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl scikit-learn"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
)


@wandb_init(name="sgd", log_inputs=True)
@env.task(retries=2)
async def train(learning_rate: float = 0.05, epochs: int = 10) -> float:
    """Logs every epoch, and returns the last loss."""
    run = get_wandb_run(required=True)
    images, labels = load_digits(return_X_y=True)
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=learning_rate, random_state=0)
    loss = float("inf")
    for epoch in range(epochs):
        model.partial_fit(images / 16, labels, classes=range(10))
        loss = float(log_loss(labels, model.predict_proba(images / 16)))
        run.log({"epoch": epoch, "loss": loss})
    return loss


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-examples", tags=["digits"])
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(train)
    run.wait()
    print(run.url, run.outputs())
