"""A W&B-compatible server on loopback for tests, demos and air-gapped work."""

from wandb_devserver._version import __version__

__all__ = ["__version__"]
