"""`wandb-artifacts verify`."""

from __future__ import annotations

from wandb_artifacts._cli import messages
from wandb_artifacts._cli.messages import Exit
from wandb_artifacts._cli.output import log, put, put_json
from wandb_artifacts._cli.signals import run_read_only
from wandb_artifacts._download.verify import verify_download


def verify_dest(*, dest: str, storage_options: dict[str, object], as_json: bool, quiet: bool) -> int:
    found = run_read_only(lambda: verify_download(dest, storage_options=storage_options))
    if warning := messages.unknown(found):
        log(warning)
    if as_json:
        put_json(found.to_dict())
    if not found.is_good:
        log(f"Error: {messages.verification(found)}")
    elif not quiet and not as_json:
        put(messages.verification(found))
    return Exit.COMPLETE if found.is_good else Exit.INCOMPLETE
