"""The command `wandb-artifacts`. Modules heavier than click are loaded by the command that needs them."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command and end the process with one of the codes that `--help` lists."""
    try:
        from wandb_artifacts._cli.main import call, end

        end(call(sys.argv[1:]))
    except KeyboardInterrupt:
        # Interrupted before the signal handlers were installed.
        os._exit(130)


if __name__ == "__main__":
    main()
