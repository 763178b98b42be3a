"""Addresses of W&B runs and sweeps, and (from 0.2) their verified download."""

from wandb_artifacts._version import __version__

__all__ = ["__version__"]
