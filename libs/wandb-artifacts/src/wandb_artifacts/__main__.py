"""The command `wandb-artifacts`. Modules heavier than click are loaded by the command that needs them."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command and end the process with one of the codes that `--help` lists."""
    try:
        from wandb_artifacts._cli.main import call

        code = call(sys.argv[1:])
    except KeyboardInterrupt:
        # Interrupted before the signal handlers were installed.
        code = 130
    if code > 128:
        # A thread may still be reading a large file, and the interpreter would wait for it.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
