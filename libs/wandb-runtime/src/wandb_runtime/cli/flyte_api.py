"""The object that Flyte's command line hands to the commands of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flyte.config import Config


class FlyteCli(Protocol):
    """The object of the click context below `flyte`: the effective options and configuration."""

    @property
    def endpoint(self) -> str | None:
        """The option `--endpoint`."""

    @property
    def config(self) -> Config:
        """The configuration file, or the defaults."""

    def init(self, project: str | None = None, domain: str | None = None) -> None:
        """Call `flyte.init` with the options and the configuration."""
