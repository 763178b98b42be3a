"""Searches for the best classifier of handwritten digits: a W&B sweep whose trials are Flyte tasks.

    WANDB_API_KEY=... python examples/sweep_trials.py

`search` creates the sweep. W&B chooses the parameters of each trial, which is a task: on a cluster each has its own
pod, with the resources, retries and timeout of `train`. `search` returns the best trial.
"""

import flyte
from flyteplugins.wandb import (
    Trial,
    fan_out_sweep_trials,
    get_wandb_run,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

env = flyte.TaskEnvironment(
    name="sweep-trials",
    image=flyte.Image.from_debian_base().with_pip_packages("flyteplugins-wandb", "scikit-learn"),
    # On a cluster: secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY")
)


@wandb_init
@env.task(retries=2)
def train(learning_rate: float, penalty: str) -> None:
    """One trial: trains with the parameters that W&B has chosen, and logs how good that is."""
    run = get_wandb_run(required=True)
    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images / 16, labels, test_size=0.3, random_state=0
    )
    model = SGDClassifier(
        loss="log_loss", penalty=penalty, learning_rate="constant", eta0=learning_rate, random_state=0
    )
    for epoch in range(8):
        model.partial_fit(train_images, train_labels, classes=range(10))
        loss = float(log_loss(test_labels, model.predict_proba(test_images), labels=range(10)))
        run.log({"epoch": epoch, "loss": loss, "accuracy": float(model.score(test_images, test_labels))})


@wandb_sweep
@env.task
async def search(max_parallel: int = 2) -> Trial:
    """Tries all combinations, so many at once."""
    result = await fan_out_sweep_trials(train, max_parallel=max_parallel)
    print(f"{result.state} with {result.counts}: {result.url}")
    if result.best is None:
        msg = f"no trial has logged a loss: {result.errors}"
        raise RuntimeError(msg)
    return result.best


if __name__ == "__main__":
    flyte.init()
    # mode="remote" and flyte.init_from_config() run the same code on a cluster.
    configuration = {
        **wandb_config(project="flyte-sweep-trials", tags=["sweep"]),
        **wandb_sweep_config(
            method="grid",
            metric={"name": "loss", "goal": "minimize"},
            parameters={"learning_rate": {"values": [0.3, 0.03, 0.003]}, "penalty": {"values": ["l1", "l2"]}},
        ),
    }
    result = flyte.with_runcontext(mode="local", custom_context=configuration).run(search)
    best: Trial = result.outputs()[0]
    print(f"best: {best.name} with {best.config}: {best.summary}")
