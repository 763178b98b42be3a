"""The processes of trials: forks of one forkserver."""

import asyncio
import importlib
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb_artifacts import InvalidValueError
from wandb_sweeps._agents.forkserver import client, main
from wandb_sweeps._agents.forkserver.runner import TrialRunner, TrialSpec, pickle_objective

from tests.support.fixtures import no_forkserver
from tests.support.preloaded.client import popen

__all__ = ["no_forkserver"]

pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`")

# A separate module, because test modules cannot be imported by name everywhere.
OBJECTIVES = """
import os, signal, sys
from flyte.syncify import syncify

@syncify
async def by_flyte():
    return "by Flyte"

def recording():
    import json, random
    record = {
        "given": os.environ.get("GIVEN"),
        "service": os.environ.get("WANDB_SERVICE"),
        "folder": os.getcwd(),
        "path": sys.path[0],
        "argv": sys.argv,
        "blocking": by_flyte(),
        "supervisor": os.getppid(),
        "session": os.getsid(0),
        "random": random.random(),
        "without Flyte": "--without-flyte" in sys.orig_argv,
        "is a second trial": hasattr(sys, "was_in_a_trial"),
    }
    sys.was_in_a_trial = True
    with open(os.environ["RECORDS"], "a") as file:
        print(json.dumps(record), file=file)

def freezing():
    with open(os.environ["RECORDS"], "w") as file:
        file.write("started\\n")
        file.flush()
        os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Read the records of the trials so far."""
    (tmp_path / "objectives_of_trials.py").write_text(OBJECTIVES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RECORDS", str(tmp_path / "records"))
    yield lambda: [json.loads(line) for line in (tmp_path / "records").read_text().splitlines()]
    sys.modules.pop("objectives_of_trials", None)


@pytest.fixture(scope="module")
def forkserver() -> Iterator[None]:
    """Keep the forkserver between tests of its trials: its imports take two seconds."""
    with client.forkserver_in_use():
        yield


def objective(name: str) -> bytes:
    return pickle_objective(getattr(importlib.import_module("objectives_of_trials"), name))


def spec(folder: Path) -> TrialSpec:
    return TrialSpec({"WANDB_SWEEP_PARAM_PATH": str(folder / "config.yaml")}, {}, {})


async def run_trial(runner: TrialRunner, folder: Path) -> None:
    runner.start_trial(objective("recording"), spec(folder))
    assert await runner.has_exited(within=60)
    assert runner.failure is None


def forkserver_id() -> int:
    assert client._forkserver is not None
    return client._forkserver.process.pid


@pytest.mark.usefixtures("no_forkserver")
def test_each_trial_is_a_fresh_fork_with_the_state_of_its_agent(
    records: Callable[[], list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are forks of one forkserver; agents differ in environment and working directory."""
    monkeypatch.setenv("WANDB_SERVICE", "of another process")
    monkeypatch.setattr(sys, "argv", ["script.py", "--lr"])
    forkservers = []

    async def run() -> None:
        for number in range(2):
            monkeypatch.setenv("GIVEN", str(number))
            (tmp_path / str(number)).mkdir()
            monkeypatch.chdir(tmp_path / str(number))
            with client.forkserver_in_use():
                runner = await TrialRunner.launch()
                forkservers.append(forkserver_id())
                for _ in range(2):
                    await run_trial(runner, tmp_path)
                await runner.kill()
                assert not runner.is_alive

    with client.forkserver_in_use():
        asyncio.run(run())
        assert forkserver_id() == forkservers[0]
    trials = records()

    assert len(set(forkservers)) == 1
    assert client._forkserver is None
    assert [(trial["given"], Path(trial["folder"]).name) for trial in trials] == [("0", "0")] * 2 + [("1", "1")] * 2
    assert len({trial["random"] for trial in trials}) == 4
    first, second, third, _ = (trial["supervisor"] for trial in trials)
    assert first == second != third
    for trial in trials:
        assert trial["service"] is None
        assert trial["path"] == str(tmp_path)
        assert trial["argv"] == ["script.py", "--lr"]
        assert trial["blocking"] == "by Flyte"
        assert trial["session"] == trial["supervisor"]
        assert (trial["without Flyte"], trial["is a second trial"]) == (False, False)
    with pytest.raises(ProcessLookupError):
        os.kill(forkservers[0], 0)


UNSTOPPABLE = """
import asyncio

asyncio.BaseEventLoop.stop = lambda self: None
"""


@pytest.mark.usefixtures("no_forkserver")
def test_trials_import_flyte_themselves_if_its_thread_cannot_be_stopped(
    records: Callable[[], list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(UNSTOPPABLE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def run() -> None:
        with client.forkserver_in_use():
            runner = await TrialRunner.launch()
            await run_trial(runner, tmp_path)
            await runner.kill()

    asyncio.run(run())
    (trial,) = records()

    assert (trial["without Flyte"], trial["blocking"]) == (True, "by Flyte")


@pytest.mark.usefixtures("forkserver")
def test_killed_forkserver_is_replaced_and_its_supervisors_continue(
    records: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    async def run() -> None:
        with client.forkserver_in_use():
            before = await TrialRunner.launch()
            assert client._forkserver is not None
            client._forkserver.process.kill()
            await asyncio.to_thread(client._forkserver.process.wait)
            after = await TrialRunner.launch()
            for runner in (before, after):
                await run_trial(runner, tmp_path)
                await runner.kill()

    asyncio.run(run())
    assert len(records()) == 2


DYING = """
import os
from wandb_sweeps._agents.forkserver import client

with client.forkserver_in_use():
    forked = client.fork_supervisor()
    os._exit(0)
"""


def test_forkserver_and_supervisors_end_with_their_agent(tmp_path: Path) -> None:
    """They inherit its standard output: the call would not return before they have ended."""
    with popen([sys.executable, "-c", DYING], os.environ, tmp_path) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.usefixtures("no_forkserver")
def test_failed_start_of_the_forkserver_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with client.forkserver_in_use(), pytest.raises(ConnectionError, match="died during its start"):
        client.fork_supervisor()


@pytest.mark.usefixtures("forkserver")
def test_trial_of_a_killed_supervisor_fails(records: Callable[[], list[dict[str, Any]]], tmp_path: Path) -> None:
    async def run() -> None:
        with client.forkserver_in_use():
            runner = await TrialRunner.launch()
            await run_trial(runner, tmp_path)
            os.killpg(records()[0]["supervisor"], signal.SIGKILL)
            runner.start_trial(b"", TrialSpec({}, {}, {}))
            assert await runner.has_exited(within=60)
            assert "SIGKILL" in str(runner.failure)
            await runner.kill()
            assert not runner.is_alive

    asyncio.run(run())


@pytest.mark.usefixtures("forkserver", "records")
def test_kill_returns_when_the_trial_has_ended(tmp_path: Path) -> None:
    """The trial may ignore every signal but SIGKILL."""
    os.mkfifo(tmp_path / "records")

    async def run() -> None:
        with client.forkserver_in_use():
            runner = await TrialRunner.launch()
            runner.start_trial(objective("freezing"), spec(tmp_path))
            file = await asyncio.to_thread((tmp_path / "records").open)
            assert await asyncio.to_thread(file.readline) == "started\n"
            await runner.kill()
            assert "SIGKILL" in str(runner.failure)
            # At end-of-file, because no process has it open for writing.
            assert select.select([file], [], [], 0)[0]
            file.close()

    asyncio.run(run())


def test_objective_with_parameters_is_refused() -> None:
    def objective_with_parameters(lr: float) -> None: ...

    with pytest.raises(InvalidValueError, match="missing a required argument"):
        pickle_objective(objective_with_parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [*main.SDK_MODULES, *main.OWN_MODULES])
def test_preloaded_module_exists(module: str) -> None:
    """A missing module would only make trials slower."""
    if module.startswith("opentelemetry."):
        pytest.importorskip("opentelemetry.sdk", reason="only newer releases of wandb use it")
    assert importlib.import_module(module)


def test_modules_beside_the_script_shadow_no_standard_module() -> None:
    """The folder of a script is the first entry of `sys.path` while it starts."""
    assert main.__file__ is not None
    names = {path.stem for path in Path(main.__file__).parent.glob("*.py")}

    assert not names & set(sys.stdlib_module_names)
