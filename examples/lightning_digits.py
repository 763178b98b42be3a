"""Trains with PyTorch Lightning, whose logger writes to the W&B run of the task.

    WANDB_API_KEY=... python examples/lightning_digits.py       on this machine
    python examples/lightning_digits.py --remote                on the cluster that Flyte is configured for

Needs torch and lightning: `hatch run elastic:example lightning_digits` has them.
"""

import asyncio
import sys
from pathlib import Path

import flyte
import lightning
import torch
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from lightning.pytorch.loggers import WandbLogger
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

env = flyte.TaskEnvironment(
    name="lightning-digits",
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl lightning scikit-learn torch"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
)


class Digits(lightning.LightningModule):
    """A linear classifier."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(64, 10)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Logs the loss as any Lightning module does."""
        images, labels = batch
        loss = torch.nn.functional.cross_entropy(self.layer(images), labels)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate)


@wandb_init(name="lightning")
@env.task
async def train(learning_rate: float = 0.5, epochs: int = 3) -> float:
    """Trains in a thread, because Lightning blocks."""
    images, labels = load_digits(return_X_y=True)
    dataset = TensorDataset(torch.tensor(images / 16).float(), torch.tensor(labels))
    logger = WandbLogger(experiment=get_wandb_run(required=True))
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", logger=logger, log_every_n_steps=5)
    await asyncio.to_thread(trainer.fit, Digits(learning_rate), DataLoader(dataset, batch_size=64, shuffle=True))
    return float(trainer.callback_metrics["train/loss"])


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-examples", tags=["digits"])
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(train)
    run.wait()
    print(run.url, run.outputs())
