"""What a server is told when it is made, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wandb_devserver import _api_key
from wandb_devserver._errors import UsageError

DEFAULT_HEARTBEAT_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    data_dir: Path | None
    host: str
    port: int
    api_key: str | None = field(repr=False)
    entity: str
    heartbeat_timeout: float

    def __post_init__(self) -> None:
        if not self.entity or "/" in self.entity:
            msg = f"entity is {self.entity!r}: use a name without '/'"
            raise UsageError(msg)
        if not self.heartbeat_timeout > 0:
            msg = f"heartbeat_timeout is {self.heartbeat_timeout!r}: use a number of seconds above 0"
            raise UsageError(msg)
        if self.api_key is not None:
            _api_key.check(self.api_key)
