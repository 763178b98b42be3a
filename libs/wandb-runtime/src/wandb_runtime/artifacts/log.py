"""`log_wandb_artifact`. Imported on first use, because `flyte.io` takes long to import."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from wandb_artifacts import ArtifactRef, InvalidValueError
from wandb_artifacts.blocking import syncify

from wandb_runtime.artifacts.contents import find_contents
from wandb_runtime.artifacts.fields import ArtifactFields
from wandb_runtime.artifacts.upload import upload
from wandb_runtime.lifecycle.current import get_wandb_run
from wandb_runtime.tasks.threads import to_thread

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from flyte.io import Dir, File
    from wandb import Run


@syncify
async def log_wandb_artifact(
    data: Dir | File | str | os.PathLike[str],
    *,
    name: str,
    type: str,  # noqa: A002 - W&B's word
    aliases: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    description: str | None = None,
    metadata: Mapping[str, object] | None = None,
    run: Run | None = None,
) -> ArtifactRef:
    """Log data as an output artifact of the current run, and wait until W&B has committed it.

    `log_wandb_artifact(...)` blocks; `await log_wandb_artifact.aio(...)` does not.

    ```python
    @wandb_init
    @env.task
    async def make_dataset() -> Dir:
        folder = write_files()
        artifact = await log_wandb_artifact.aio(folder, name="digits", type="dataset", aliases=["clean"])
        print(artifact)  # entity/project/digits:v3
        return await Dir.from_local(folder)
    ```

    If the artifact has a version with the same contents, as after a retry, W&B makes no new one, and that version is
    returned.

    A file, a folder, a `Dir` and a `File` are copied to W&B, so that everybody with access to the project can download
    them, and they outlive the store of Flyte. What is in a store is streamed through a temporary folder that holds at
    most 1 GiB, or the largest file. The URL of an object store stays a reference, as with `run.log_artifact("s3://...")`:
    W&B stores the URL, the size and the checksum of each object, and no data leaves the store. So a task that returns a
    `Dir` can log `data.path`, without uploading its files twice. References need the SDK's package for the store
    (`pip install wandb[aws]`, `wandb[gcp]`), and whoever downloads them needs access to the store.

    The body of a cached task does not run on a cache hit, so the run of the new execution does not have the artifact:
    log it in the task that calls the cached one.

    Args:
        data: What to log: a `Dir` or `File`, the path of a folder or file, or a URL to refer to (`s3://`, `gs://`,
            `https://`).
        name: The name of the artifact: letters, digits, `-`, `_` and `.`.
        type: Its type, such as `dataset` or `model`.
        aliases: Aliases of the version. W&B adds `latest`.
        tags: Tags of the version.
        description: A description of the version.
        metadata: Values to store with the version: JSON, without credentials.
        run: The run; the current one by default.

    Returns:
        The artifact, with its version. An offline run has none yet: the alias is `latest`, and the entity is `unknown`
            if it is not configured. `wandb sync` uploads the artifact with the run. A disabled run logs nothing.

    Raises:
        InvalidValueError: An argument is invalid; raised before any work.
        NoRunError: There is no current run.
        ArtifactError: W&B has refused the artifact, or not committed it within the run's `finish_timeout` (600 seconds
            by default; for each part, if data is a `Dir` of more than 1 GiB). The artifact is stored with the run, like
            everything that W&B lacks, unless it was sent in parts.
    """
    fields = ArtifactFields.checked(name, type, aliases, tags, description, metadata)
    contents = find_contents(data)
    open_run = await to_thread(functools.partial(_open_run, run))
    return await upload(open_run, fields, contents)


def _open_run(given: object) -> Run:
    if given is None:
        return get_wandb_run(required=True)
    import wandb

    from wandb_runtime.server import sdk_private

    if not isinstance(given, wandb.Run):
        reason = f"must be the object that wandb.init() returns, not {type(given).__name__}"
        raise InvalidValueError(field="run", value=None, reason=reason)
    if sdk_private.has_ended(given):
        reason = "has ended; pass an open run, or omit it to use the current one"
        raise InvalidValueError(field="run", value=given.id, reason=reason)
    return given
