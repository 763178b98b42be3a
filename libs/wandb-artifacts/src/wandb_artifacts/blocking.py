"""Coroutine functions that also have a blocking form, for packages that build on this one."""

from __future__ import annotations

from wandb_artifacts._asyncio import Syncified, syncify

__all__ = ["Syncified", "syncify"]
