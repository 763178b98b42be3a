"""What is used of Flyte without being public. A release that moves it is noticed here first."""

import subprocess
import sys

IN_A_FORK = """
import os, threading
from wandb_sweeps import _sdk_private

resume = _sdk_private.pause()
assert resume is not None, "Flyte has moved its event loop"
assert threading.active_count() == 1, threading.enumerate()
from flyte.syncify import syncify

@syncify
async def blocking() -> str:
    return threading.current_thread().name

for _ in range(2):
    if os.fork() == 0:
        resume()
        print(blocking(), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


def test_loop_in_forks() -> None:
    """Flyte's blocking functions work in a copy of a process that has imported it, and the process has no threads."""
    done = subprocess.run([sys.executable, "-c", IN_A_FORK], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["flyte_syncify"] * 2
