"""`wandb-artifacts verify`."""

from __future__ import annotations

from wandb_artifacts._cli import messages
from wandb_artifacts._cli.exit_codes import Exit
from wandb_artifacts._cli.output import put, put_json, say
from wandb_artifacts._cli.signals import read
from wandb_artifacts._download.verify import verify_download


def verify_dest(*, dest: str, storage_options: dict[str, object], as_json: bool, quiet: bool) -> int:
    found = read(lambda: verify_download(dest, storage_options=storage_options))
    if warning := messages.unknown(found):
        say(warning)
    if as_json:
        put_json(found.to_dict())
    if not found.is_good:
        say(f"Error: {messages.verification(found)}")
    elif not quiet and not as_json:
        put(messages.verification(found))
    return Exit.COMPLETE if found.is_good else Exit.INCOMPLETE
