"""Log of the HTTP server, bounded in what strangers can make it write."""

from __future__ import annotations

import logging
import time


class RateLimit(logging.Filter):
    """Lets few records pass and counts the others: anybody can send invalid HTTP."""

    def __init__(self, count: int, seconds: float) -> None:
        super().__init__()
        self._count = count
        self._seconds = seconds
        self._since = float("-inf")
        self._passed = self._held = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return True
        now = time.monotonic()
        if now - self._since >= self._seconds:
            if self._held:
                record.msg = f"{record.getMessage()} ({self._held} more since the last one)"
                record.args = ()
            self._since, self._passed, self._held = now, 0, 0
        self._passed += 1
        self._held += self._passed > self._count
        return self._passed <= self._count


http_logger = logging.getLogger("wandb_devserver.http")
http_logger.addFilter(RateLimit(count=5, seconds=60.0))
