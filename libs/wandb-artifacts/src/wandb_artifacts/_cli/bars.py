"""Progress bars: one per active file, and one for the whole download."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.text import Text

from wandb_artifacts._cli import output
from wandb_artifacts._cli.progress import Tally

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wandb_artifacts._download import results

_MOST_BARS = 8
_NAME_WIDTH = 32


class _Name(ProgressColumn):
    """Unlike rich's own column, this one does not interpret markup in names."""

    def render(self, task: Task) -> Text:
        return Text(output.shortened(task.description, _NAME_WIDTH), no_wrap=True)


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields["amount"]), no_wrap=True)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{output.size(speed)}/s" if speed else "", no_wrap=True)


class Bars(Progress):
    """Bars on stderr. A separate thread draws them from a tally that the download updates."""

    def __init__(self, console: Console | None = None) -> None:
        self.tally = Tally()
        self._shown: dict[tuple[str, str], TaskID] = {}
        self._total: TaskID | None = None
        self._is_updating = False
        super().__init__(
            _Name(),
            BarColumn(bar_width=None),
            _Amount(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=console or Console(stderr=True),
            refresh_per_second=8,
            transient=True,
            expand=True,
        )
        self._total = self.add_task("total", total=None, amount="")

    def get_renderables(self) -> Iterable[RenderableType]:
        with self._lock:
            # rich renders while it is being constructed, and while a bar is being added.
            if self._total is not None and not self._is_updating:
                self._is_updating = True
                try:
                    self._update_bars(self._total)
                finally:
                    self._is_updating = False
        return super().get_renderables()

    def _update_bars(self, total: TaskID) -> None:
        active = dict(self.tally.active)
        for key in self._shown.keys() - active.keys():
            self.remove_task(self._shown.pop(key))
        for key, moment in active.items():
            if key not in self._shown and len(self._shown) < _MOST_BARS:
                self._shown[key] = self.add_task(moment.name, total=moment.size, amount="")
            if key in self._shown:
                self._update(self._shown[key], moment)
        self._update_total(total)

    def _update(self, task: TaskID, moment: results.FileProgress) -> None:
        if moment.rows is not None:
            amount = output.count(moment.rows, "row")
        elif moment.size is None:
            amount = output.size(moment.received)
        else:
            amount = f"{output.size(moment.received)} of {output.size(moment.size)}"
        self.update(task, completed=moment.received, total=moment.size, amount=amount)

    def _update_total(self, task: TaskID) -> None:
        (files, all_files), (done, known) = self.tally.files, self.tally.bytes
        sizes = f"{output.size(done)} of {output.size(max(known, done))}"
        amount = f"{files:,} of {output.count(all_files, 'file')}, {sizes}"
        self.update(task, completed=done, total=max(known, done) or None, amount=amount)
