"""The history of a run: every row, in order, as strict JSON or Parquet."""

from wandb_artifacts._history.export import IncompleteHistoryError, check_format, export_history, history_file
from wandb_artifacts._history.source import HistorySource

__all__ = ["HistorySource", "IncompleteHistoryError", "check_format", "export_history", "history_file"]
