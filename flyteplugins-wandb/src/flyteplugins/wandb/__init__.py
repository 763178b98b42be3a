"""Weights & Biases for Flyte 2: runs, configuration, links and sweeps."""

from flyteplugins.wandb._version import __version__

__all__ = ["__version__"]
