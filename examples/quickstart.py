"""Trains a classifier of handwritten digits in a parent task; a child joins its W&B run, another opens a second run.

WANDB_API_KEY=... python examples/quickstart.py       on this machine
python examples/quickstart.py --remote                on the cluster that Flyte is configured for
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import flyte
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

env = flyte.TaskEnvironment(
    name="quickstart",
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl scikit-learn"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
)


def load_data() -> list[Any]:
    """Returns training images, test images, training labels, test labels."""
    images, labels = load_digits(return_X_y=True)
    return list(train_test_split(images / 16, labels, test_size=0.3, random_state=0))


@wandb_init
@env.task
async def evaluate(predicted: list[int]) -> float:
    """Adds the accuracy on the test images to the run of the task that calls it."""
    *_, labels = load_data()
    accuracy = float(accuracy_score(labels, predicted))
    get_wandb_run(required=True).log({"test/accuracy": accuracy})
    return accuracy


@wandb_init(run_mode="new", name="baseline", tags=["baseline"])
@env.task
async def baseline() -> float:
    """Logs a simpler classifier to a separate run."""
    train_images, test_images, train_labels, test_labels = load_data()
    accuracy = float(GaussianNB().fit(train_images, train_labels).score(test_images, test_labels))
    get_wandb_run(required=True).log({"test/accuracy": accuracy})
    return accuracy


@wandb_init(name="sgd", log_inputs=True)
@env.task
async def train(learning_rate: float = 0.05, epochs: int = 12) -> dict[str, float]:
    """Trains epoch by epoch, and has the result evaluated and compared."""
    run = get_wandb_run(required=True)
    train_images, test_images, train_labels, _ = load_data()
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=learning_rate, random_state=0)
    for epoch in range(epochs):
        model.partial_fit(train_images, train_labels, classes=range(10))
        run.log({"epoch": epoch, "train/loss": log_loss(train_labels, model.predict_proba(train_images))})
    ours, theirs = await asyncio.gather(evaluate(predicted=model.predict(test_images).tolist()), baseline())
    return {"ours": ours, "baseline": theirs}


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-quickstart", tags=["quickstart"], config={"data": "digits"})
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(train)
    run.wait()
    print(run.url, run.outputs())
