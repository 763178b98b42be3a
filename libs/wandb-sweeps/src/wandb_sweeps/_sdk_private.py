"""Private APIs of wandb and Flyte, isolated here. `tests/wandb_sweeps/test_private_apis.py` notices when one moves."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Seconds; the SDK's own value is 0.2, and its service process starts in about a tenth of a second.
_POLL_INTERVAL = 0.01


def write_parameters(path: str, parameters: Mapping[str, Any]) -> None:
    """Write a trial's parameters to the file from which `wandb.init` reads them.

    Reason: the SDK does not document the format of the file that WANDB_SWEEP_PARAM_PATH names.
    """
    from wandb.sdk.lib import config_util

    config_util.save_config_file_from_dict(path, dict(parameters))  # type: ignore[no-untyped-call]


def poll_service_often() -> None:
    """Let `wandb.init` notice within milliseconds that the SDK's service process has started.

    Reason: the SDK polls for the service's port file five times a second, which would dominate short trials. The
    service renames the file into place, so it is never read half-written. If the SDK changes this, trials become
    slower, and nothing else changes. Call it only in processes that this package has started.
    """
    with suppress(ImportError, AttributeError):
        from wandb.sdk.lib.service import service_port_file

        sleep: Callable[[float], None] = service_port_file._SLEEP  # noqa: SLF001

        def pause(seconds: float) -> None:
            sleep(min(seconds, _POLL_INTERVAL))

        service_port_file._SLEEP = pause  # type: ignore[assignment]  # noqa: SLF001


def pyagent_module() -> Any:
    """Import the module whose function `pyagent` runs `wandb.agent(..., function=...)`.

    Reason: `wandb.agent` looks the function up in this module when it is called. Replacing it is the only way to give
    an agent in the body of a task the sweep's server, and Flyte's context.
    """
    from wandb.agents import pyagent

    return pyagent


def pause_flyte() -> Callable[[], None] | None:
    """Import Flyte and stop the thread of its background event loop, so that this process can be forked.

    Reason: importing Flyte starts a thread with an event loop, on which its blocking functions run coroutines. A fork
    inherits the loop without the thread, so these functions would wait forever; and it would share the loop's epoll
    descriptor. Flyte has no public function for this.

    Returns:
        A function that gives a fork a new loop and thread; None if Flyte has changed and must not be forked.
    """
    from flyte.syncify import syncify

    others = threading.active_count() - 1
    try:
        background = syncify._bg_loop  # noqa: SLF001
        run, name, loop = background._run, background.thread.name, background.loop  # noqa: SLF001
        background.stop()  # type: ignore[no-untyped-call]
    except AttributeError:
        return None
    if threading.active_count() != others or loop.is_running():
        return None
    loop.close()

    def resume() -> None:
        background.loop = asyncio.new_event_loop()
        background.thread = threading.Thread(name=name, target=run, daemon=True)
        background.thread.start()

    return resume
