"""Errors of the SDK about artifacts, without credentials."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from wandb_artifacts.client import Redactor

if TYPE_CHECKING:
    from wandb import Run

_SIGNED = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']*")
_LONGEST = 1000


def explain(error: Exception, run: Run) -> str:
    """Return the text of an error in one line, without the run's credentials and without the signatures of URLs."""
    headers = run.settings.x_extra_http_headers or {}
    redact = Redactor([os.environ.get("WANDB_API_KEY"), run.settings.api_key, *headers.values()])
    text = redact(_SIGNED.sub(r"\1", " ".join(str(error).split())))
    return (text or type(error).__name__)[:_LONGEST]
