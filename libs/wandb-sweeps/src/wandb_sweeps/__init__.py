"""W&B sweeps in Flyte: configuration and links."""

from wandb_sweeps._version import __version__

__all__ = ["__version__"]
