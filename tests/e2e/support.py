"""Flyte's local mode, in the test's process."""

from collections.abc import Mapping
from typing import Any

import flyte


def run_locally(task: Any, *args: Any, context: Mapping[str, str] | None = None, **kwargs: Any) -> Any:
    """Runs a task to its end and returns its result; what it raises comes as Flyte gives it to the user."""
    flyte.init()
    run = flyte.with_runcontext(mode="local", custom_context=dict(context or {})).run(task, *args, **kwargs)
    return run.outputs()[0]
