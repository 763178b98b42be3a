"""The process of one trial: a fork of the forkserver's supervisor.

    agent -> worker   "stop" or "preempt"
    worker -> agent   {"error": ...} when the objective has ended, null on success; {"closing": true} if it does not end

When its agent dies, which closes the connection, the worker ends as well.
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

from wandb_sweeps._agents.forkserver.messages import CLOSE_TIMEOUT, EXIT_CODES, GRACE_PERIODS, PREEMPT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_reason = PREEMPT


def run_trial(channel: Connection[bytes, bytes], objective: bytes, spec: dict[str, Any]) -> NoReturn:
    """Run a trial and exit the process.

    Args:
        channel: The connection to the agent.
        objective: The pickled objective.
        spec: The attributes of the `TrialSpec`.
    """
    # Set before the objective's decorator handles the signal, as it does in pods.
    signal.signal(signal.SIGTERM, _raise_exit)
    threading.Thread(target=_listen, args=(channel,), name="wandb-sweeps-agent", daemon=True).start()
    from wandb_sweeps import _sdk_private

    _sdk_private.poll_service_often()
    os.environ.update(spec["environment"])
    _sdk_private.write_parameters(os.environ["WANDB_SWEEP_PARAM_PATH"], spec["parameters"])
    code, error = _run(objective, spec["context"])
    with suppress(OSError):
        channel.send_bytes(json.dumps({"error": error}).encode())
    _exit(code)


def _exit(code: int) -> NoReturn:
    """Exit as forks of `multiprocessing` do: without waiting for threads or finalizing the interpreter."""
    with suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    os._exit(code)


def _run(pickled: bytes, context: dict[str, str]) -> tuple[int, str | None]:
    """Run the objective and close any run that it left open; return the exit code and the error, if it failed."""
    from wandb_runtime.config.context import override_flyte_context
    from wandb_runtime.lifecycle.current import in_trial

    code, error = 0, None
    try:
        with override_flyte_context(context), in_trial():
            _call(pickle.loads(pickled))  # noqa: S301 - sent by the agent
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        error = f"SystemExit: {exit_.code}" if code else None
    except BaseException as raised:  # noqa: BLE001 - the trial failed, not the worker
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
    """End the trial when the agent requests it or has died."""
    global _reason  # noqa: PLW0603
    try:
        _reason = channel.recv_bytes().decode()
    except (EOFError, OSError):
        _reason = PREEMPT
    if _reason == PREEMPT:
        with suppress(Exception):
            _open_run().mark_preempting()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(GRACE_PERIODS[_reason])
    with suppress(OSError):
        channel.send_bytes(b'{"closing": true}')
    closing = threading.Thread(target=_finish_open_run, args=(EXIT_CODES[_reason],), daemon=True)
    closing.start()
    closing.join(CLOSE_TIMEOUT)
    os._exit(EXIT_CODES[_reason])


def _raise_exit(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(EXIT_CODES[_reason])


def _open_run() -> Any:
    return getattr(sys.modules.get("wandb"), "run", None)


def _finish_open_run(code: int) -> None:
    """Finish a run that the objective opened with `wandb.init` and left open, as the SDK's agent does."""
    try:
        if (run := _open_run()) is not None:
            run.finish(exit_code=code)
    except BaseException:  # noqa: BLE001 - the objective has ended
        traceback.print_exc()
