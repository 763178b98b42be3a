"""The interpreters of trials: copies of one template, whatever comes of it."""

import asyncio
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb_sweeps._agents.forkserver import client, main
from wandb_sweeps._agents.forkserver.runner import Assignment, Interpreter, pickled

pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`")

# Modules of tests cannot be imported by their names everywhere: what this one has goes by value.
TELLING = """
import os, signal, sys
from flyte.syncify import syncify

@syncify
async def by_flyte():
    return "by Flyte"

def objective():
    import json, random
    seen = {
        "given": os.environ.get("GIVEN"),
        "service": os.environ.get("WANDB_SERVICE"),
        "folder": os.getcwd(),
        "path": sys.path[0],
        "argv": sys.argv,
        "blocking": by_flyte(),
        "keeper": os.getppid(),
        "session": os.getsid(0),
        "random": random.random(),
        "forgets Flyte": "without Flyte" in sys.orig_argv,
        "knew before": hasattr(sys, "seen_by_a_trial"),
    }
    sys.seen_by_a_trial = True
    with open(os.environ["TELLS"], "a") as file:
        print(json.dumps(seen), file=file)

def freezing():
    with open(os.environ["TELLS"], "w") as file:
        file.write("started\\n")
        file.flush()
        os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What trials have seen so far."""
    (tmp_path / "telling.py").write_text(TELLING)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TELLS", str(tmp_path / "told"))
    yield lambda: [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    sys.modules.pop("telling", None)


async def try_once(interpreter: Interpreter, folder: Path) -> None:
    """Runs a trial to its end."""
    environment = {"WANDB_SWEEP_PARAM_PATH": str(folder / "config.yaml")}
    objective = importlib.import_module("telling").objective
    interpreter.assign(pickled(objective), Assignment(environment, {}, {}))
    assert await interpreter.has_exited(within=60)
    assert interpreter.failure is None


def template_id() -> int:
    assert client._template is not None
    return client._template.process.pid


def test_interpreters(
    told: Callable[[], list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All come from one template, that has Flyte ready; each is fresh, and has what its agent had when it began."""
    monkeypatch.setenv("WANDB_SERVICE", "of another process")
    monkeypatch.setattr(sys, "argv", ["script.py", "--lr"])
    templates = []

    async def run() -> None:
        for number in range(2):
            monkeypatch.setenv("GIVEN", str(number))
            (tmp_path / str(number)).mkdir()
            monkeypatch.chdir(tmp_path / str(number))
            with client.held():
                interpreter = await Interpreter.start()
                templates.append(template_id())
                for _ in range(2):
                    await try_once(interpreter, tmp_path)
                await interpreter.dismiss()
                assert not interpreter.is_alive

    with client.held():
        asyncio.run(run())
        assert template_id() == templates[0]
    seen = told()

    assert len(set(templates)) == 1
    assert client._template is None
    assert [(trial["given"], Path(trial["folder"]).name) for trial in seen] == [("0", "0")] * 2 + [("1", "1")] * 2
    assert len({trial["random"] for trial in seen}) == 4
    first, second, third, _ = (trial["keeper"] for trial in seen)
    assert first == second != third
    for trial in seen:
        assert trial["service"] is None
        assert trial["path"] == str(tmp_path)
        assert trial["argv"] == ["script.py", "--lr"]
        assert trial["blocking"] == "by Flyte"
        assert trial["session"] == trial["keeper"]
        assert (trial["forgets Flyte"], trial["knew before"]) == (False, False)
    with pytest.raises(ProcessLookupError):
        os.kill(templates[0], 0)


UNENDING = """
import asyncio

asyncio.BaseEventLoop.stop = lambda self: None
"""


def test_flyte_in_the_way(
    told: Callable[[], list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Flyte's thread does not end, as of a release that has it elsewhere, trials import Flyte by themselves."""
    (tmp_path / "sitecustomize.py").write_text(UNENDING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def run() -> None:
        with client.held():
            interpreter = await Interpreter.start()
            await try_once(interpreter, tmp_path)
            await interpreter.dismiss()

    asyncio.run(run())
    (seen,) = told()

    assert (seen["forgets Flyte"], seen["blocking"]) == (True, "by Flyte")


def test_template_that_dies(told: Callable[[], list[dict[str, Any]]], tmp_path: Path) -> None:
    """Those that it has made go on, and there is another one the next time."""

    async def run() -> None:
        with client.held():
            before = await Interpreter.start()
            assert client._template is not None
            client._template.process.kill()
            await asyncio.to_thread(client._template.process.wait)
            after = await Interpreter.start()
            for interpreter in (before, after):
                await try_once(interpreter, tmp_path)
                await interpreter.dismiss()

    asyncio.run(run())
    assert len(told()) == 2


DYING = """
import os
from wandb_sweeps._agents.forkserver import client

with client.held():
    made = client.connect()
    os._exit(0)
"""


def test_agent_that_dies() -> None:
    """Nothing is left of its template and its keeper, which have its output: it does not end before they do."""
    subprocess.run([sys.executable, "-c", DYING], capture_output=True, check=True, timeout=60)


def test_template_that_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error, rather than waiting for ever."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with client.held(), pytest.raises(ConnectionError, match="has died while it was being started"):
        client.connect()


def test_keeper_that_is_killed(told: Callable[[], list[dict[str, Any]]], tmp_path: Path) -> None:
    """What it was to do has failed; the agent takes another one."""

    async def run() -> None:
        with client.held():
            interpreter = await Interpreter.start()
            await try_once(interpreter, tmp_path)
            os.killpg(told()[0]["keeper"], signal.SIGKILL)
            interpreter.assign(b"", Assignment({}, {}, {}))
            assert await interpreter.has_exited(within=60)
            assert "SIGKILL" in str(interpreter.failure)
            await interpreter.dismiss()
            assert not interpreter.is_alive

    asyncio.run(run())


@pytest.mark.usefixtures("told")
def test_dismissal(tmp_path: Path) -> None:
    """A trial that reacts to nothing is ended by force, and has ended when that returns."""
    os.mkfifo(tmp_path / "told")

    async def run() -> None:
        with client.held():
            interpreter = await Interpreter.start()
            environment = {"WANDB_SWEEP_PARAM_PATH": str(tmp_path / "config.yaml")}
            objective = importlib.import_module("telling").freezing
            interpreter.assign(pickled(objective), Assignment(environment, {}, {}))
            file = await asyncio.to_thread((tmp_path / "told").open)
            assert await asyncio.to_thread(file.readline) == "started\n"
            await interpreter.dismiss()
            assert "SIGKILL" in str(interpreter.failure)
            # At its end, because nobody is left to write to it.
            assert select.select([file], [], [], 0)[0]
            file.close()

    asyncio.run(run())


@pytest.mark.parametrize("module", [*main._NEEDED, *main._WITH_FLYTE])
def test_loaded(module: str) -> None:
    """What is loaded in advance is there: a release that moves it makes trials slower."""
    assert importlib.import_module(module)
