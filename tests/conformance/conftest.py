"""Fixtures of the tests that compare wandb-devserver with the behavior of W&B."""

from tests.wandb_devserver.conftest import raw, scripts, server

__all__ = ["raw", "scripts", "server"]
