"""The life of a W&B run inside a Flyte task."""

from wandb_runtime._version import __version__

__all__ = ["__version__"]
