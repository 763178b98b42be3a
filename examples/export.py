"""Exports the runs of a project to Parquet, with all logged rows, and finds the best one by a DuckDB query.

    WANDB_API_KEY=... python examples/export.py       on this machine
    python examples/export.py --remote                on the cluster that Flyte is configured for

Without Flyte: `wandb-artifacts runs my-team/my-project data --history-format parquet`.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import duckdb
import flyte
from flyte.io import Dir
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from wandb_artifacts import download_runs

env = flyte.TaskEnvironment(
    name="export",
    # The wheels in dist/ (README, "Install"): the package of this name on PyPI is another project's.
    image=(
        flyte.Image.from_debian_base()
        .with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)
        .with_commands(["uv pip install /tmp/wheels/*.whl duckdb pyarrow"])
    ),
    secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"),
)

BEST = """
    SELECT runs.name, runs.config.inputs.learning_rate, min(rows.loss) AS loss
    FROM read_parquet('{folder}/*/metrics_history.parquet', filename = true, union_by_name = true) AS rows
    JOIN '{folder}/runs.parquet' AS runs ON rows.filename = '{folder}/' || runs.path || '/metrics_history.parquet'
    GROUP BY ALL ORDER BY loss LIMIT 1
"""


@wandb_init(run_mode="new", log_inputs=True)
@env.task
async def train(learning_rate: float) -> str:
    """Logs a loss curve, and returns the project that it is in."""
    run = get_wandb_run(required=True)
    for step in range(20):
        run.log({"loss": (1 - learning_rate) ** step})
    return f"{run.entity}/{run.project}"


@env.task
async def export() -> tuple[str, float, float, Dir]:
    """Trains three models, exports their runs, and returns the best name, learning rate and loss, and all files."""
    projects = await asyncio.gather(*(train(rate) for rate in (0.1, 0.2, 0.3)))
    context = flyte.ctx()
    assert context is not None
    folder = tempfile.mkdtemp()
    # The group of a run is by default the name of its Flyte run.
    await download_runs.aio(projects[0], folder, group=context.action.run_name, history_format="parquet")
    (best,) = duckdb.execute(BEST.format(folder=folder)).fetchall()
    return (*best, await Dir.from_local(folder))


if __name__ == "__main__":
    remote = "--remote" in sys.argv
    flyte.init_from_config() if remote else flyte.init()
    context = wandb_config(project="flyte-examples")
    run = flyte.with_runcontext(mode="remote" if remote else "local", custom_context=context).run(export)
    run.wait()
    print(run.url, run.outputs())
