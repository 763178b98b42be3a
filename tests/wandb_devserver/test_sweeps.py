"""Sweeps through the SDK: `wandb.sweep`, `wandb.agent`, the commands, the public API."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from wandb_devserver import DevServer

from tests.wandb_devserver.support import Scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

# The SDK's agents poll every five seconds.
FUNCTION_AGENT = """
from wandb.agents import pyagent
pyagent.Agent.HEARTBEAT_SLEEP_SECONDS = 0.2
def agent(function, **options):
    wandb.agent({sweep!r}, function, project="p", entity="local", **options)
"""
COMMANDS = """
from wandb.cli.cli import cli
from wandb.wandb_agent import Agent
Agent.POLL_INTERVAL = 0.2
def command(*arguments):
    cli.main(arguments, standalone_mode=False)
"""
GRID = {"method": "grid", "parameters": {"a": {"values": [1, 2, 3]}}}


@pytest.fixture
def quick_scripts(tmp_path: Path) -> Iterator[Scripts]:
    """Scripts for a server that misses heartbeats after five seconds."""
    with DevServer(heartbeat_timeout=5) as server:
        yield Scripts(server, tmp_path)


def create(scripts: Scripts, config: object, project: str = "p") -> str:
    return str(scripts.run(f"report(wandb.sweep({config!r}, project={project!r}))"))


def function_agent(sweep: str, script: str) -> str:
    return FUNCTION_AGENT.format(sweep=sweep) + script


def test_two_agents_share_a_grid(server: DevServer, scripts: Scripts) -> None:
    """Every point is tried once, and the public API reads the sweep, its runs and its agents."""
    sweep = create(
        scripts,
        {
            "name": "shared",
            "method": "grid",
            "metric": {"name": "loss", "goal": "minimize"},
            "parameters": {"a": {"values": [1, 2, 3, 4]}, "net": {"parameters": {"depth": {"value": 2}}}},
        },
    )
    script = function_agent(
        sweep,
        """
def train():
    with wandb.init() as run:
        run.log({"loss": 1 / run.config.a + run.config.net["depth"]})
agent(train, count=2)
""",
    )
    with scripts.start(script) as one, scripts.start(script) as two:
        outputs = [process.communicate(timeout=90) for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), outputs
    record = server.sweep(f"local/p/{sweep}")

    assert record.state == "FINISHED"
    assert sorted(trial.config["a"] for trial in record.trials) == [1, 2, 3, 4]  # type: ignore[type-var]
    assert {(trial.state, trial.sweep, trial.config["net"]["depth"]) for trial in record.trials} == {  # type: ignore[call-overload, index]
        ("finished", sweep, 2)
    }
    seen = scripts.run(f"""
api = wandb.Api()
sweep = api.sweep("local/p/{sweep}")
report({{
    "state": sweep.state, "name": sweep.name, "config": sweep.config, "expected": sweep.expected_run_count,
    "url": sweep.url, "runs": [run.id for run in sweep.runs], "best": sweep.best_run().config["a"],
    "agents": [[agent.name, agent.state, [run.id for run in agent.runs()]] for agent in sweep.agents()],
    "one": sweep.agent(sweep.agents()[0].name).name,
    "project": [[other.id, other.state] for other in api.project("p", "local").sweeps()],
    "run": sweep.runs[0].sweep.id,
}})
""")
    assert (seen["state"], seen["name"], seen["expected"], seen["url"]) == ("FINISHED", "shared", 4, record.url)
    assert seen["config"] == record.config
    assert seen["runs"] == [trial.id for trial in record.trials]
    assert seen["best"] == 4
    assert seen["agents"] == [[agent.id, agent.state, agent.trials] for agent in record.agents]
    assert (seen["one"], seen["run"]) == (record.agents[0].id, sweep)
    assert seen["project"] == [[sweep, "FINISHED"]]


def test_commands_create_run_and_control_a_sweep(server: DevServer, scripts: Scripts) -> None:
    """The sweep comes from a file, its agent runs a program; a finished sweep refuses `pause` and `cancel`."""
    (scripts.folder / "train.py").write_text("""
import argparse, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=float)
parser.add_argument("--b")
given = parser.parse_args()
with wandb.init() as run:
    assert (run.config.a, run.config.b) == (given.a, given.b)
""")
    (scripts.folder / "sweep.yaml").write_text("""
program: train.py
method: random
parameters: {a: {distribution: uniform, min: 1e-5, max: 1E-4}}
""")
    scripts.run(COMMANDS + "command('sweep', '--project', 'p', 'sweep.yaml')")
    (sweep,) = server.sweeps("local/p")
    path = f"local/p/{sweep.id}"
    (scripts.folder / "sweep.yaml").write_text("""
program: train.py
method: grid
parameters: {a: {values: [1, 2]}, b: {value: "x"}}
""")
    scripts.run(
        COMMANDS + f"command('sweep', '--update', {path!r}, 'sweep.yaml')\ncommand('agent', {path!r})",
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )
    sweep = server.sweep(path)
    assert sweep.state == "FINISHED"
    assert [(trial.state, trial.config) for trial in sweep.trials] == [
        ("finished", {"a": 1, "b": "x"}),
        ("finished", {"a": 2, "b": "x"}),
    ]
    states = scripts.run(
        COMMANDS
        + f"""
states = []
for action in ("resume", "pause", "resume", "stop", "pause", "cancel", "resume", "cancel"):
    try:
        command("sweep", "--" + action, {path!r})
    except Exception as error:
        states.append(str(getattr(error, "message", error)))
    states.append(wandb.Api().sweep({path!r}).state)
report(states)
"""
    )

    refused = ["Cannot pause finished sweep.", "FINISHED", "Sweep already finished.", "FINISHED"]
    assert states == ["RUNNING", "PAUSED", "RUNNING", "FINISHED", *refused, "RUNNING", "CANCELED"]


def test_early_termination_stops_a_running_trial(server: DevServer, scripts: Scripts) -> None:
    """The trial would never end; the agent continues with the next one."""
    sweep = create(
        scripts,
        {
            "method": "grid",
            "metric": {"name": "loss", "goal": "minimize"},
            # Trials are compared after two values, and at no other time.
            "early_terminate": {"type": "hyperband", "max_iter": 6, "s": 1},
            "parameters": {"loss": {"values": [1, 9, 2]}},
        },
    )
    scripts.run(
        function_agent(
            sweep,
            """
import time
def train():
    with wandb.init() as run:
        while run.step < 3 or run.config.loss == 9:
            run.log({"loss": run.config.loss})
            time.sleep(0.05)  # Python code must run for the agent's exception to be raised
agent(train, count=3)
""",
        )
    )

    assert [(trial.config["loss"], trial.state) for trial in server.sweep(f"local/p/{sweep}").trials] == [
        (1, "finished"),
        (9, "failed"),
        (2, "finished"),
    ]


def test_trial_of_a_killed_agent_crashes(quick_scripts: Scripts) -> None:
    """Its point is not tried again; the sweep finishes without it."""
    sweep, server = create(quick_scripts, GRID), quick_scripts.server
    path = f"local/p/{sweep}"
    hanging = function_agent(sweep, "import time\ndef train():\n    wandb.init()\n    time.sleep(600)\nagent(train)")
    with quick_scripts.start(hanging) as process:
        server.requests.wait("graphql", "UpsertBucket")
        (trial,) = server.sweep(path).trials
        # Its SDK service too.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    server.wait_for_run(f"local/p/{trial.id}", "crashed")
    quick_scripts.run(function_agent(sweep, "agent(lambda: wandb.init().finish(), count=2)"))
    record = server.sweep(path)

    assert [(trial.config["a"], trial.state) for trial in record.trials] == [
        (1, "crashed"),
        (2, "finished"),
        (3, "finished"),
    ]
    assert record.state == "FINISHED"
    assert record.agents[0].state == "CRASHED"


def test_agent_exits_after_its_sweep_is_deleted(server: DevServer, scripts: Scripts) -> None:
    """It finishes its trial first and exits with 0."""
    sweep = create(scripts, GRID)
    script = """
def train():
    with wandb.init():
        sys.stdin.read()
agent(train)
"""
    with scripts.start(function_agent(sweep, script)) as process:
        server.requests.wait("graphql", "UpsertBucket")
        (trial,) = server.sweep(f"local/p/{sweep}").trials
        server.delete_sweep(f"local/p/{sweep}")
        output = process.communicate("", timeout=90)
    assert process.returncode == 0, output
    assert server.run(f"local/p/{trial.id}").state == "finished"


def test_sdk_shows_errors_and_warnings_of_sweeps(server: DevServer, scripts: Scripts) -> None:
    """Invalid configurations, warnings, and sweeps that do not exist."""
    seen = scripts.run(
        """
import contextlib, io
run = wandb.init(project="p", id="earlier", config={"a": 2})
run.finish()
def failure(call):
    try:
        call()
    except Exception as error:
        return str(error)
printed = io.StringIO()
with contextlib.redirect_stderr(printed):
    space = {"a": {"distribution": "log_uniform", "min": 0, "max": 1}}
    warned = wandb.sweep({"method": "random", "parameters": space}, project="p", prior_runs=["earlier"])
report([
    failure(lambda: wandb.sweep({"method": "genetic", "parameters": {"a": {"value": 1}}}, project="p")),
    printed.getvalue(), warned,
    failure(lambda: wandb.agent("nowhere", lambda: None, project="p")),
    failure(lambda: wandb.Api().sweep("local/p/nowhere")),
])
""",
        WANDB_SILENT="false",
    )
    error, printed, warned, agent, missing = seen

    assert "method: use one of grid, random, bayes, not 'genetic'" in error
    assert "are exponents of e" in printed
    assert [trial.id for trial in server.sweep(f"local/p/{warned}").trials] == ["earlier"]
    assert "sweep 'local/p/nowhere' does not exist" in agent
    assert "nowhere" in missing
