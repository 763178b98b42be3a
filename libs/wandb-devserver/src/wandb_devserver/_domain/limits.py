"""Limits of W&B on names, tags and sizes, each with its source; refused with W&B's words where they are public.

What no source limits, such as the length of a group or of notes, is not limited here. Lengths are in characters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wandb_devserver._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

# W&B's schema: UpsertModelInput.name. The characters: the SDK's `validate_project_name`.
MAX_PROJECT = 128
_NOT_IN_PROJECT = re.compile(r"[/\\#?%:]")
# The SDK's documentation of `id`. The characters: the SDK's check of `run_id`, and '%', which it does not encode in
# URLs: such a run would lose its rows.
MAX_RUN_ID = 128
_NOT_IN_RUN_ID = re.compile(r"[:;,#?/'%]")
# github.com/NVIDIA-NeMo/Skills/issues/842
MAX_RUN_NAME = 128
# github.com/wandb/wandb/issues/6402
MAX_JOB_TYPE = 64
# github.com/wandb/wandb/issues/4208, pull/10397
MAX_TAG = 64
# github.com/deeppavlov/AutoIntent/issues/202; the message has megabytes, taken as 2**20 bytes here.
MAX_CONFIG_MB = 15
# github.com/wandb/wandb/issues/4959; W&B's schema: UpdateArtifactSequenceInput.name. The characters: the SDK's
# `validate_artifact_name`.
MAX_ARTIFACT_NAME = 128
_NOT_IN_ARTIFACT_NAME = re.compile(r"[/:\0]")
# W&B's schema: ArtifactAliasInput.alias. The characters: the SDK's `validate_aliases`.
MAX_ALIAS = 128
_NOT_IN_ALIAS = re.compile(r"[/:]")
# W&B's schema: ArtifactTypeInput.name. The pattern, which is for the types of a registry, is W&B's without its
# nested repetition.
MAX_ARTIFACT_TYPE = 128
_REGISTRY_TYPE = re.compile(r"[-\w](?:[-.\w ]*[-.\w])?")
# W&B's schema: TagInput.tagName, and the number of tags in a request.
MAX_ARTIFACT_TAG = 128
MAX_ARTIFACT_TAGS = 20
_ARTIFACT_TAG = re.compile(r"[-\w]+(?: +[-\w]+)*")


class LimitError(UsageError):
    """A value beyond a limit. The response has the status 400, which makes the SDK show the message."""


def check_project(name: str) -> str:
    """Return `name` if it can be the name of a project.

    Raises:
        LimitError: otherwise.
    """
    if not name.strip() or len(name) > MAX_PROJECT or _NOT_IN_PROJECT.search(name):
        msg = f"invalid project name {name!r}: use 1 to {MAX_PROJECT} characters, none of / \\ # ? % :"
        raise LimitError(msg)
    return name


def check_entity(name: str) -> str:
    """Return `name` if it can be the name of an entity.

    Raises:
        LimitError: if no URL could name it.
    """
    if name in ("", ".", "..") or name != name.strip() or re.search(r"[/?#%]", name):
        msg = f"invalid entity name {name!r}: use at least one character, none of / ? # %"
        raise LimitError(msg)
    return name


def check_run(name: str) -> str:
    """Return `name` if it can be the id of a run.

    Raises:
        LimitError: otherwise.
    """
    is_reachable = name not in ("", ".", "..") and name == name.strip() and not _NOT_IN_RUN_ID.search(name)
    if not is_reachable or len(name) > MAX_RUN_ID:
        msg = f"invalid run id {name!r}: use 1 to {MAX_RUN_ID} characters, none of : ; , # ? / ' % and no spaces around"
        raise LimitError(msg)
    return name


def check_run_fields(
    *, display_name: str | None, job_type: str | None, tags: Iterable[str] | None, config: str | None
) -> None:
    """Check what a client sets in a run.

    Raises:
        LimitError: if a value is beyond its limit.
    """
    for value, limit, field in ((display_name, MAX_RUN_NAME, "DisplayName"), (job_type, MAX_JOB_TYPE, "JobType")):
        if value and len(value) > limit:
            msg = f"invalid parameters: {limit} limit exceeded for {field}"
            raise LimitError(msg)
    for tag in tags or ():
        if not 1 <= len(tag) <= MAX_TAG:
            msg = f"invalid tag '{tag}'. must be between 1 and {MAX_TAG} characters"
            raise LimitError(msg)
    if config and len(config.encode(errors="replace")) > MAX_CONFIG_MB * 2**20:
        msg = f"run config cannot exceed {MAX_CONFIG_MB} MB"
        raise LimitError(msg)


def check_artifact_name(name: str) -> str:
    """Return `name` if it can be the name of an artifact collection.

    Raises:
        LimitError: otherwise.
    """
    if len(name) > MAX_ARTIFACT_NAME:
        msg = f"invalid artifact name {name}, must be {MAX_ARTIFACT_NAME} characters or less"
        raise LimitError(msg)
    if not name.strip() or _NOT_IN_ARTIFACT_NAME.search(name):
        msg = f"invalid artifact name {name!r}: use a name without '/' and ':'"
        raise LimitError(msg)
    return name


def check_artifact_type(name: str) -> str:
    """Return `name` if it can be the type of an artifact.

    Raises:
        LimitError: otherwise.
    """
    if not name.strip() or len(name) > MAX_ARTIFACT_TYPE or _NOT_IN_ALIAS.search(name):
        msg = f"invalid artifact type {name!r}: use 1 to {MAX_ARTIFACT_TYPE} characters, none of / :"
        raise LimitError(msg)
    return name


def check_registry_type(name: str) -> str:
    """Return `name` if a registry can be limited to artifacts of this type.

    Raises:
        LimitError: otherwise.
    """
    if len(name) > MAX_ARTIFACT_TYPE or not _REGISTRY_TYPE.fullmatch(name):
        msg = (
            f"invalid artifact type {name!r}: use 1 to {MAX_ARTIFACT_TYPE} letters, digits, '-', '_', '.' and spaces, "
            "with a letter, a digit, '-' or '_' first and no space last"
        )
        raise LimitError(msg)
    return name


def check_aliases(aliases: list[str]) -> list[str]:
    """Return `aliases` if each can be one of an artifact.

    Raises:
        LimitError: otherwise.
    """
    for alias in aliases:
        if not alias or len(alias) > MAX_ALIAS or _NOT_IN_ALIAS.search(alias):
            msg = f"invalid alias {alias!r}: use 1 to {MAX_ALIAS} characters, none of / :"
            raise LimitError(msg)
    return aliases


def check_artifact_tags(tags: list[str]) -> list[str]:
    """Return `tags` if artifacts and collections can have them.

    Raises:
        LimitError: otherwise.
    """
    if len(tags) > MAX_ARTIFACT_TAGS:
        msg = f"{len(tags)} tags: at most {MAX_ARTIFACT_TAGS} are accepted in a request"
        raise LimitError(msg)
    for tag in tags:
        if len(tag) > MAX_ARTIFACT_TAG or not _ARTIFACT_TAG.fullmatch(tag):
            msg = (
                f"invalid tag {tag!r}: use 1 to {MAX_ARTIFACT_TAG} letters, digits, '-' and '_', with single words "
                "separated by spaces"
            )
            raise LimitError(msg)
    return tags


def check_file_name(name: str) -> str:
    """Return `name` if it can be the name of a file of a run.

    Raises:
        LimitError: if a client that downloads the file could write outside of its folder.
    """
    parts = name.replace("\\", "/").split("/")
    if not name or "\0" in name or ".." in parts or parts[0] == "":
        msg = f"{name!r} cannot be the name of a file: use a relative path without '..'"
        raise LimitError(msg)
    return name
