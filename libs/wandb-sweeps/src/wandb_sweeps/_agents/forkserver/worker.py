"""What the interpreter of one trial does: a copy of `main`.

    agent -> trial   "stop" or "preempt"
    trial -> agent   {"error": ...} when the objective has ended, null if well; {"closing": true} when it does not end

When its agent is dead, which closes the connection, the trial ends as well.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import json
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NoReturn

from wandb_sweeps._agents.forkserver.messages import EXIT_CODES, FOR_CLOSING, PATIENCE, PREEMPT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_reason = PREEMPT


def run(channel: Connection[bytes, bytes], objective: bytes, trial: dict[str, Any]) -> NoReturn:
    """Runs a trial, and exits.

    Args:
        channel: The connection to the agent.
        objective: The pickled objective.
        trial: The attributes of the `Assignment`.
    """
    # Before the decorator of the objective takes over the signal, as it does in pods.
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_listen, args=(channel,), name="wandb-sweeps-agent", daemon=True).start()
    from wandb_sweeps._server import requests

    requests.poll_often()
    os.environ.update(trial["environment"])
    requests.write_parameters(os.environ["WANDB_SWEEP_PARAM_PATH"], trial["parameters"])
    code, error = _run(objective, trial["context"])
    with suppress(OSError):
        channel.send_bytes(json.dumps({"error": error}).encode())
    _exit(code)


def _exit(code: int) -> NoReturn:
    """Exits as the copies that `multiprocessing` makes do: waits for no thread, and frees nothing by itself."""
    with suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    os._exit(code)


def _run(pickled: bytes, context: dict[str, str]) -> tuple[int, str | None]:
    """Runs the objective, and closes what run it has left open; gives the exit code, and why it has failed."""
    from wandb_runtime.config.context import override_flyte_context
    from wandb_runtime.lifecycle.current import in_trial

    code, error = 0, None
    try:
        with override_flyte_context(context), in_trial():
            _call(pickle.loads(pickled))  # noqa: S301 - the agent's own
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        error = f"SystemExit: {exit_.code}" if code else None
    except BaseException as raised:  # noqa: BLE001 - it is the trial that has failed
        traceback.print_exc()
        code, error = 1, f"{type(raised).__name__}: {raised}"
    _finish_open_run(code)
    return code, error


def _call(objective: Callable[[], object]) -> None:
    result = objective()
    if inspect.isawaitable(result):
        asyncio.run(_awaited(result))


async def _awaited(result: Awaitable[object]) -> None:
    await result


def _listen(channel: Connection[bytes, bytes]) -> None:
    """Ends the trial when the agent says so, or is no more."""
    global _reason  # noqa: PLW0603
    try:
        _reason = channel.recv_bytes().decode()
    except (EOFError, OSError):
        _reason = PREEMPT
    if _reason == PREEMPT:
        with suppress(Exception):
            _open_run().mark_preempting()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(PATIENCE[_reason])
    with suppress(OSError):
        channel.send_bytes(b'{"closing": true}')
    closing = threading.Thread(target=_finish_open_run, args=(EXIT_CODES[_reason],), daemon=True)
    closing.start()
    closing.join(FOR_CLOSING)
    os._exit(EXIT_CODES[_reason])


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(EXIT_CODES[_reason])


def _open_run() -> Any:
    return getattr(sys.modules.get("wandb"), "run", None)


def _finish_open_run(code: int) -> None:
    """As the SDK's agent does for objectives that call wandb.init and leave the rest to it."""
    try:
        if (run := _open_run()) is not None:
            run.finish(exit_code=code)
    except BaseException:  # noqa: BLE001 - the objective has ended
        traceback.print_exc()
