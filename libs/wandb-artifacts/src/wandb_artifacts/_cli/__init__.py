"""The command `wandb-artifacts`. What weighs more than click is loaded by the command that needs it."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command and ends the process with one of the codes that `--help` names."""
    try:
        from wandb_artifacts._cli.main import call

        code = call(sys.argv[1:])
    except KeyboardInterrupt:
        # Told to stop before there was anything to stop.
        code = 130
    if code > 128:
        # A thread may be in the midst of a large file, and the interpreter would wait for it.
        os._exit(code)
    sys.exit(code)
