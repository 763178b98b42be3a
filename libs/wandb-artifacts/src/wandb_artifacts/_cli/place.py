"""What REF and --host name."""

from __future__ import annotations

import os

from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._hosts import app_url, check_host
from wandb_artifacts._download.options import Ref, read_ref


def read_place(kind: type[Ref], text: str, host: str | None) -> Ref:
    """The run or sweep that is meant.

    Raises:
        InvalidValueError: It is none, or the options contradict it.
    """
    if host is not None:
        # Whoever gives the option trusts that server, so the key in the environment is for it.
        os.environ["WANDB_BASE_URL"] = check_host(host)
    place = read_ref(kind, text)
    if host is not None and "://" in text and app_url(place.host) != app_url(host):
        reason = f"REF is a page of {app_url(place.host)}; leave one of them out"
        raise InvalidValueError(field="host", value=host, reason=reason)
    return place
