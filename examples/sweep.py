"""Searches for the best classifier of handwritten digits: a W&B sweep, its agents fanned out as Flyte tasks.

    WANDB_API_KEY=... python examples/sweep.py       on this machine
    python examples/sweep.py --remote                on the cluster that Flyte is configured for

`search` creates the sweep and starts two agents. Each agent runs trials of `objective`, each in a separate process,
until all points of the grid have been tried. `search` returns the best trial.
"""

import sys
from pathlib import Path

import flyte
from flyteplugins.wandb import (
    Trial,
    fan_out_sweep_agents,
    get_wandb_run,
    sweep_agent,
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
    name="sweep",
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl scikit-learn"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
)


@sweep_agent(env)
@wandb_init
def objective() -> None:
    """One trial: trains with the parameters that W&B has chosen, and logs how good that is."""
    run = get_wandb_run(required=True)
    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images / 16, labels, test_size=0.3, random_state=0
    )
    penalty, rate = run.config["penalty"], run.config["learning_rate"]
    model = SGDClassifier(loss="log_loss", penalty=penalty, learning_rate="constant", eta0=rate, random_state=0)
    for epoch in range(8):
        model.partial_fit(train_images, train_labels, classes=range(10))
        loss = float(log_loss(test_labels, model.predict_proba(test_images), labels=range(10)))
        run.log({"epoch": epoch, "loss": loss, "accuracy": float(model.score(test_images, test_labels))})


@wandb_sweep
@env.task
async def search(num_agents: int = 2) -> Trial:
    """Tries all combinations, on as many agents."""
    result = await fan_out_sweep_agents(objective, num_agents=num_agents)
    print(f"{result.state} with {result.counts}: {result.url}")
    assert result.best is not None, result.errors
    return result.best


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    search_space = {"learning_rate": {"values": [0.3, 0.03, 0.003]}, "penalty": {"values": ["l1", "l2"]}}
    metric = {"name": "loss", "goal": "minimize"}
    context = {
        **wandb_config(project="flyte-sweep", tags=["sweep"]),
        **wandb_sweep_config(method="grid", metric=metric, parameters=search_space),
    }
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(search)
    run.wait()
    print(run.url, run.outputs())
