"""What has no public way in Flyte: its background event loop. `test_flyte_private.py` notices when it moves.

Importing Flyte starts a thread with an event loop, on which its blocking functions run what they have to await. A fork
has the loop without the thread, so these functions would wait for ever; and it would share the loop's epoll descriptor.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def pause() -> Callable[[], None] | None:
    """Imports Flyte, and ends its thread.

    Returns:
        Gives Flyte a loop and a thread again, in a fork. None where Flyte has changed: it is not to be forked then.
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
