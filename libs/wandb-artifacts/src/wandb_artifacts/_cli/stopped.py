from __future__ import annotations

import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """The process was told to stop: Ctrl-C or SIGTERM. Not a KeyboardInterrupt, of which click makes its own affair."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def heed_signals() -> None:
    """From here on, what stops the process is a `Stopped`."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    for number in _SIGNALS:
        signal.signal(number, stop)
