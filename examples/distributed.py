"""Trains on two processes of a cluster with torch elastic; rank 0 logs to W&B.

    WANDB_API_KEY=... python examples/distributed.py       on this machine
    python examples/distributed.py --remote                on the cluster that Flyte is configured for

Needs torch and flyteplugins-pytorch: `hatch run elastic:example distributed` has them.
"""

import sys
from pathlib import Path

import flyte
import torch
import torch.distributed
from flyteplugins.pytorch import Elastic
from flyteplugins.wandb import get_distributed_info, get_wandb_run, wandb_config, wandb_init
from sklearn.datasets import load_digits

env = flyte.TaskEnvironment(
    name="distributed",
    plugin_config=Elastic(nnodes=1, nproc_per_node=2),  # on a cluster more, and resources=flyte.Resources(gpu=...)
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl flyteplugins-pytorch scikit-learn torch"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
)


@wandb_init(name="distributed")  # run_mode="shared": all ranks log to the run; "new": each rank has one
@env.task
def train(epochs: int = 5) -> float:
    """Each rank trains on a part of the images; the gradients are averaged."""
    info = get_distributed_info()  # None on one machine: Flyte's local mode starts a single process
    rank, size = (info["rank"], info["world_size"]) if info else (0, 1)
    store = None if info else torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    images, labels = (torch.tensor(part)[rank::size] for part in load_digits(return_X_y=True))
    images = images.float() / 16
    torch.manual_seed(0)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    run = get_wandb_run()  # None on the ranks that do not log
    mean = torch.zeros(1)
    for epoch in range(epochs):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = loss.detach().clone()
        torch.distributed.all_reduce(mean)
        if run is not None:
            run.log({"epoch": epoch, "loss": mean.item() / size})
    torch.distributed.destroy_process_group()
    return float(mean.item() / size)


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-examples", tags=["digits"])
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(train)
    run.wait()
    print(run.url, run.outputs())
