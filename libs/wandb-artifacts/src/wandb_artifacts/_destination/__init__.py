"""Where a download goes: a folder, or any fsspec file system."""

from wandb_artifacts._destination.open import open_target

__all__ = ["open_target"]
