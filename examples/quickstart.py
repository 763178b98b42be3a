"""Trains a classifier of handwritten digits in Flyte and logs it to Weights & Biases.

    WANDB_API_KEY=... python examples/quickstart.py

Three tasks, two W&B runs: `train` opens one, `evaluate` joins it, `baseline` opens another in the same group.
"""

import asyncio

import flyte
import numpy as np
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

env = flyte.TaskEnvironment(
    name="quickstart",
    image=flyte.Image.from_debian_base().with_pip_packages("flyteplugins-wandb", "scikit-learn"),
)


def load_data() -> list[np.ndarray]:
    """The digits: training images, test images, training labels, test labels."""
    images, labels = load_digits(return_X_y=True)
    split: list[np.ndarray] = train_test_split(images / 16, labels, test_size=0.3, random_state=0)
    return split


@wandb_init
@env.task
async def evaluate(predicted: list[int]) -> float:
    """Adds the accuracy on the test images, in all and by digit, to the run of the task that calls it."""
    run = get_wandb_run(required=True)
    _, _, _, labels = load_data()
    hits = np.array(predicted) == labels
    for digit in range(10):
        run.summary[f"test/digit_{digit}"] = float(hits[labels == digit].mean())
    accuracy = float(hits.mean())
    run.log({"test/accuracy": accuracy})
    return accuracy


@wandb_init(run_mode="new", name="baseline", tags=["baseline"])
@env.task
async def baseline() -> float:
    """Logs a simpler classifier to a separate run."""
    run = get_wandb_run(required=True)
    train_images, test_images, train_labels, test_labels = load_data()
    model = GaussianNB().fit(train_images, train_labels)
    accuracy = float(model.score(test_images, test_labels))
    run.log({"test/accuracy": accuracy})
    return accuracy


@wandb_init(name="sgd", config={"model": "linear, by stochastic gradient descent"})
@env.task
async def train(learning_rate: float = 0.05, epochs: int = 12) -> dict[str, float]:
    """Trains epoch by epoch, and has the result evaluated and compared."""
    run = get_wandb_run(required=True)
    run.config["learning_rate"] = learning_rate
    train_images, test_images, train_labels, _ = load_data()
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=learning_rate, random_state=0)
    for epoch in range(epochs):
        model.partial_fit(train_images, train_labels, classes=range(10))
        loss = float(log_loss(train_labels, model.predict_proba(train_images)))
        run.log({"epoch": epoch, "train/loss": loss, "train/accuracy": model.score(train_images, train_labels)})
    ours, theirs = await asyncio.gather(evaluate(predicted=model.predict(test_images).tolist()), baseline())
    return {"ours": ours, "baseline": theirs}


if __name__ == "__main__":
    flyte.init()
    # mode="remote" and flyte.init_from_config() run the same code on a cluster.
    result = flyte.with_runcontext(
        mode="local",
        custom_context=wandb_config(project="flyte-quickstart", tags=["quickstart"], config={"data": "digits"}),
    ).run(train)
    print(result.outputs())
