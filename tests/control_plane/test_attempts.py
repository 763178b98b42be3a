"""How attempts end: by themselves, by signals, by the platform."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.control_plane.actions import Phase
from tests.support.control_plane.plane import ControlPlane, PlaneError


def test_exception_is_retried(plane: ControlPlane) -> None:
    """The second attempt knows its number and reuses the child and trace of the first."""
    run = plane.run("tasks:flaky")

    first, second = run.root.attempts
    assert run.result == (43,)
    assert (first.phase, first.exit_code) == (Phase.FAILED, 0)
    assert first.error is not None
    assert (first.error.code, first.error.is_recoverable) == ("ValueError", True)
    assert second.phase is Phase.SUCCEEDED
    assert ("doubling" in first.stdout, "doubling" in second.stdout) == (True, False)
    assert len(plane.action(run, "child").attempts) == 1


def test_killed_pod_is_retried(plane: ControlPlane) -> None:
    """SIGKILL ends every process of the pod; a new pod replaces it."""
    run = plane.start("tasks:killed")
    output = plane.wait_for_output(run.root, "sleeping beside")
    plane.kill(run.root)
    plane.wait(run)

    first, second = run.root.attempts
    assert (first.signal, first.exit_code) == (signal.SIGKILL, None)
    assert second.phase is Phase.SUCCEEDED
    assert run.result == (1,)
    (beside,) = re.findall(r"beside (\d+)", output)
    assert is_gone(int(beside))


def is_gone(pid: int) -> bool:
    """A process that has ended counts as gone, even if nothing has waited for it."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_non_recoverable_error_is_not_retried(plane: ControlPlane) -> None:
    """The runtime decides."""
    run = plane.run("tasks:hopeless", expect=Phase.FAILED)

    (attempt,) = run.root.attempts
    assert attempt.error is not None
    assert not attempt.error.is_recoverable
    assert run.root.error == attempt.error


def test_cancelled_child_is_aborted(plane: ControlPlane, tmp_path: Path) -> None:
    """The child's pod is stopped while the parent continues."""
    run = plane.run("tasks:cancelling", str(tmp_path / "mark"))

    (child,) = plane.actions(run, "marking")
    assert run.result == ("it is gone",)
    assert (child.phase, child.last.signal) == (Phase.ABORTED, signal.SIGTERM)


def test_abort_of_a_run_stops_all_pods(plane: ControlPlane, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    run = plane.start("tasks:waiting", str(mark))
    child = plane.action(run, "marking")
    plane.wait_for("the child's pod", lambda: child.phase is Phase.RUNNING)
    plane.abort(run)
    plane.wait(run, expect=Phase.ABORTED)

    for action in (run.root, child):
        assert (action.phase, action.last.signal, action.last.error) == (Phase.ABORTED, signal.SIGTERM, None)


def test_driver_can_abort_its_run(plane: ControlPlane) -> None:
    """`Run.abort()` reaches the pod, and the driver sees the end."""
    run = plane.run("tasks:sleeping", then="tasks:abort", expect=Phase.ABORTED)

    assert run.root.abort_reason == "enough"
    assert run.root.last.signal is signal.SIGTERM
    assert "aborted" in run.result.lower()


def test_child_that_times_out_is_stopped(plane: ControlPlane) -> None:
    """Its parent gets the error."""
    run = plane.run("tasks:patient")

    (child,) = plane.actions(run, "too_slow")
    assert run.result == ("MaxRuntimeExceededError",)
    assert (child.phase, child.last.signal) == (Phase.TIMED_OUT, signal.SIGTERM)


@pytest.mark.parametrize(
    ("task", "grace", "exit_code", "by"),
    [("tasks:sleeping", 0.1, None, signal.SIGKILL), ("tasks:catching", 60, 143, None)],
    ids=["no handler", "handler"],
)
def test_sigterm_as_first_process_of_a_container(
    task: Any, grace: float, exit_code: int | None, by: signal.Signals | None, plane: ControlPlane
) -> None:
    """A task without a handler ignores SIGTERM and is killed after the grace period."""
    plane.pods.is_pid1, plane.pods.grace = True, grace
    run = plane.start(task)
    plane.wait_for_output(run.root, "asleep")
    plane.kill(run.root, signal.SIGTERM)
    plane.abort(run)
    plane.wait(run, expect=Phase.ABORTED)

    assert (run.root.last.exit_code, run.root.last.signal) == (exit_code, by)


def test_wait_error_shows_the_output_of_the_pod(plane: ControlPlane) -> None:
    """It names the expected state too."""
    run = plane.start("tasks:sleeping")
    plane.wait_for_output(run.root, "asleep")

    with pytest.raises(PlaneError, match=r"waited 0.1 s for 'awake' from plane.sleeping(.|\n)*asleep"):
        plane.wait_for_output(run.root, "awake", timeout=0.1)
