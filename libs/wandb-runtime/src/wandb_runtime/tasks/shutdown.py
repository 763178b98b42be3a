"""SIGTERM: the platform stops a pod, because of an abort, a timeout or an eviction.

Flyte's runtime has no handler for it: the process would die at once, or, as the first process of a pod, would continue
until it is killed. This handler marks each run as preempting, ends the bodies, which closes their runs, and exits.

    SIGTERM -> the first call of the handler starts a thread, which
               1. marks the runs as preempting
               2. raises SystemExit in bodies that run on other threads, and waits for their `finally` blocks;
                  closes the run for bodies that are blocked in C code
               3. raises SystemExit in the main thread: the event loop ends, its tasks are cancelled
               4. closes what is still open, and ends the process if it does not end

Python handles signals in the main thread only, which may be blocked: hence the thread. The ranks of torch elastic have
their bodies in the main thread, where they may wait in C for a rank that is dead; there a second thread reads the
signal from the file descriptor that Python writes to when it arrives.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from wandb_runtime.tasks.action import is_pod_process
from wandb_runtime.tasks.distributed import is_launched
from wandb_runtime.tasks.threads import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

EXIT_CODE = 128 + signal.SIGTERM
"""The exit code that a shell reports for a process ended by SIGTERM."""

# Seconds; by default a pod is killed 30 s after SIGTERM.
_FOR_THE_HANDLER = 1.0
_FOR_THE_LOOP = 2.0
_FOR_INTERRUPTING = 4.0
_FOR_FINALLY = 15.0
_FOR_CLOSING = 10.0
_FOR_EXITING = 3.0
_POLL = 0.5

# Without a lock: a body may be interrupted while its thread holds it.
_bodies: list[Body] = []
_begins = threading.Lock()
_is_stopping = threading.Event()
_may_leave = threading.Event()
_is_leaving = threading.Event()


def install_handler() -> None:
    """Handle SIGTERM in a pod, unless there is another handler.

    Only the main thread can install a handler. Flyte imports or unpickles a task there, but does not run the bodies of
    sync tasks there.
    """
    if (
        is_pod_process()
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, _handle)
        os.register_at_fork(after_in_child=_reset_in_child)
        if is_launched(os.environ):
            _watch_signals()


def _reset_in_child() -> None:
    """Let SIGTERM end a forked process as usual: the functions and the threads are those of its parent."""
    _bodies.clear()
    if signal.getsignal(signal.SIGTERM) is _handle:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if is_launched(os.environ):
            signal.set_wakeup_fd(-1)


def is_stopping() -> bool:
    """Whether SIGTERM has arrived."""
    return _is_stopping.is_set()


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a process that ends with this exception, as in Python; 255 for Ctrl-C, as in W&B."""
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return 255
    # The event loop of a process that is being stopped ends its tasks by cancelling them.
    return EXIT_CODE if isinstance(error, asyncio.CancelledError) and is_stopping() else 1


def until_stopped(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread, and wait until it ends or SIGTERM arrives.

    Raises:
        StoppedError: SIGTERM arrived first. The call continues in its thread until the process ends.
    """
    running = submit(call)
    while not concurrent.futures.wait([running], _POLL).done:
        if is_stopping():
            raise StoppedError
    return running.result()


class StoppedError(RuntimeError):
    """Work was abandoned because the process is being stopped."""

    def __init__(self) -> None:
        super().__init__("the task is being stopped")


class Closable(Protocol):
    """Something a function holds open, such as a run, that is closed for it if the function does not end."""

    def mark_preempting(self) -> None:
        """Record that the platform is about to stop the process. Never raises."""

    def close(self, exit_code: int, /) -> object:
        """Close it once, within bounds of time. Never raises."""


class Body:
    """A decorated function that is being called."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.is_interrupted = threading.Event()
        self.has_ended = threading.Event()
        self._session: Closable | None = None
        self._switching = threading.Lock()
        self._is_interruptible = False

    @contextlib.contextmanager
    def running(self, session: Closable) -> Iterator[None]:
        """Allow interruption while the function's code runs; opening and closing a run is not interrupted."""
        with self._switching:
            self._session = session
            if is_stopping():
                raise SystemExit(EXIT_CODE)
            self._is_interruptible = True
        try:
            yield
        finally:
            with self._switching:
                self._is_interruptible = False

    def mark_preempting(self) -> None:
        """Mark the run as preempting."""
        if self._session is not None:
            self._session.mark_preempting()

    def interrupt(self) -> None:
        """Raise SystemExit in the function as soon as its thread executes Python code."""
        import ctypes

        with self._switching:
            if self._is_interruptible:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), ctypes.py_object(_Stopped))

    def interrupt_if(self, is_wanted: Callable[[Closable], bool]) -> None:
        """Raise SystemExit in the function if its session is wanted."""
        if self._session is not None and is_wanted(self._session):
            self.interrupt()

    def close(self) -> None:
        """Close the run for a function that does not end."""
        if self._session is not None:
            self._session.close(EXIT_CODE)


class _Stopped(SystemExit):
    """SystemExit as a class: Python can raise only a class, not an instance, in another thread."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)
        for body in _bodies:
            if body.thread == threading.get_ident():
                body.is_interrupted.set()


def interrupt(is_wanted: Callable[[Closable], bool]) -> None:
    """Raise SystemExit in the bodies on other threads whose session is wanted; those on an event loop are cancelled."""
    for body in _bodies:
        if body.thread != threading.get_ident():
            body.interrupt_if(is_wanted)


@contextlib.contextmanager
def watch_body() -> Iterator[Body]:
    """Register a call of a decorated function, so that SIGTERM ends it."""
    install_handler()
    body = Body()
    _bodies.append(body)
    try:
        yield body
    finally:
        body.is_interrupted.set()
        body.has_ended.set()
        _bodies.remove(body)


def _handle(_signal: int, _frame: object) -> None:
    if _may_leave.is_set():
        _leave()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    _begin(loop)


def _watch_signals() -> None:
    """Start a thread that reads SIGTERM, in case the main thread cannot handle it."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    others = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    if others == -1:
        threading.Thread(target=_watch, args=(read_end,), name="wandb-runtime-signals", daemon=True).start()
    else:
        signal.set_wakeup_fd(others)
        os.close(read_end)
        os.close(write_end)


def _watch(read_end: int) -> None:
    while signal.SIGTERM not in os.read(read_end, 64):
        pass
    if not _is_stopping.wait(_FOR_THE_HANDLER) and signal.getsignal(signal.SIGTERM) is _handle:
        _begin(None)


def _begin(loop: asyncio.AbstractEventLoop | None) -> None:
    if _begins.acquire(blocking=False):
        _is_stopping.set()
        threading.Thread(target=_stop, args=(loop,), name="wandb-runtime-stop", daemon=True).start()


def _leave() -> NoReturn:
    _is_leaving.set()
    raise SystemExit(EXIT_CODE)


def _stop(loop: asyncio.AbstractEventLoop | None) -> None:
    bodies = list(_bodies)
    for body in bodies:
        body.mark_preempting()
    elsewhere = [body for body in bodies if body.thread != threading.main_thread().ident]
    # Of functions that call each other, only the innermost.
    for body in {body.thread: body for body in elsewhere}.values():
        body.interrupt()
    stuck = _not_set([(body.is_interrupted, body) for body in elsewhere], _FOR_INTERRUPTING)
    _close_all(stuck)
    _close_all(_not_set([(body.has_ended, body) for body in elsewhere if body not in stuck], _FOR_FINALLY))
    here = [body for body in bodies if body not in elsewhere]
    _make_main_thread_leave(loop if here else None)
    # If the main thread is blocked in C code, there is nothing to wait for.
    is_stuck = bool(here) and not _is_leaving.wait(_FOR_INTERRUPTING)
    late = here if is_stuck else _not_set([(body.has_ended, body) for body in here], _FOR_FINALLY)
    _close_all(late)
    if not late:
        # Python waits for threads that cannot be ended, such as those of asyncio.to_thread, but not for this daemon.
        time.sleep(_FOR_EXITING)
    os._exit(EXIT_CODE)


def _make_main_thread_leave(loop: asyncio.AbstractEventLoop | None) -> None:
    """Raise SystemExit from the event loop, so that coroutines are cancelled; if that is blocked, by a signal."""
    _may_leave.set()
    if loop is not None:
        with contextlib.suppress(RuntimeError):  # it has been closed
            loop.call_soon_threadsafe(_leave)
            if _is_leaving.wait(_FOR_THE_LOOP):
                return
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _not_set(events: list[tuple[threading.Event, Body]], within: float) -> list[Body]:
    """Wait for the events; return the bodies whose event was not set within so many seconds."""
    deadline = time.monotonic() + within
    return [body for event, body in events if not event.wait(max(0.0, deadline - time.monotonic()))]


def _close_all(bodies: list[Body]) -> None:
    """Close the runs of bodies that do not end, in parallel, and wait within bounds."""
    closing = [threading.Thread(target=body.close, daemon=True) for body in bodies]
    for thread in closing:
        thread.start()
    deadline = time.monotonic() + _FOR_CLOSING
    for thread in closing:
        thread.join(max(0.0, deadline - time.monotonic()))
