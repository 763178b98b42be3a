"""Child processes that the body of a decorated function forks."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from typing import TYPE_CHECKING

from wandb_runtime.tasks.shutdown import exit_code_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def ending_forked_children() -> Iterator[None]:
    """End a child process that the code inside forks, instead of letting it leave that code.

    The run belongs to the parent, and so does everything further up: Flyte's runtime would store outputs twice. The
    child's exit code is that of a script that ends so.
    """
    owner = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() != owner:
            _end(error)
        raise
    if os.getpid() != owner:
        _end(None)


def _end(error: BaseException | None) -> None:
    code = 0 if error is None else exit_code_of(error)
    with contextlib.suppress(Exception):
        if isinstance(error, SystemExit):
            if not isinstance(error.code, (int, type(None))):
                sys.stderr.write(f"{error.code}\n")
        elif error is not None:
            traceback.print_exception(type(error), error, error.__traceback__)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
