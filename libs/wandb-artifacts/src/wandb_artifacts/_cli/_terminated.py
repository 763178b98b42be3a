from __future__ import annotations

import signal
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM."""


def heed_termination() -> None:
    """SIGTERM is to end the command as Ctrl-C does."""

    def stop(_: int, __: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
