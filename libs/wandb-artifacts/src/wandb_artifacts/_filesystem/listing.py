"""The files of a run as a tree of folders."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import quote, unquote

from wandb_artifacts._destination.safe_names import safe_path, safe_paths

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._client.remote import RemoteFile
    from wandb_artifacts._refs import RunRef

Owner: TypeAlias = "RunRef | ArtifactRef"
Info: TypeAlias = dict[str, object]
"""fsspec's details of a path."""


class PathParts(NamedTuple):
    """The parts of a path; missing parts are empty."""

    entity: str
    project: str
    run: str
    rest: str

    @classmethod
    def of(cls, path: str) -> PathParts:
        return cls(*[*path.split("/", 3), "", "", "", ""][:4])

    @property
    def run_path(self) -> str:
        return f"{self.entity}/{self.project}/{self.run}"


class Listing:
    """The files of one run or artifact under safe paths. Their names at W&B lead to them as well."""

    def __init__(self, ref: Owner, root: str, files: Iterable[RemoteFile]) -> None:
        self.ref = ref
        by_name = {file.name: file for file in files}
        self._shown = safe_paths(by_name)
        self.files = {self._shown[name]: file for name, file in by_name.items()}
        self._root = root
        self._folders: dict[str, dict[str, Info]] = {"": {}}
        for path, file in sorted(self.files.items()):
            self._add(path, file_info(f"{root}/{path}", file))

    def _add(self, path: str, info: Info) -> None:
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self._folders[folder] = {}
            self._add(folder, folder_info(f"{self._root}/{folder}"))
        self._folders[folder][path] = info

    def file(self, rest: str) -> RemoteFile | None:
        """Return the file at a path within the run."""
        return self.files.get(rest) or self.files.get(self._shown.get(rest, ""))

    def info(self, rest: str) -> Info | None:
        """Return the details of a path within the run; None if it does not exist."""
        for path in (rest, self._shown.get(rest)):
            if path is None:
                continue
            if path in self._folders:
                return folder_info(f"{self._root}/{path}".rstrip("/"))
            if path in self.files:
                return file_info(f"{self._root}/{path}", self.files[path])
        return None

    def children(self, rest: str) -> list[Info] | None:
        """Return the contents of a folder of the run; None if it is not a folder."""
        found = self._folders.get(rest)
        return None if found is None else [dict(info) for info in found.values()]


def folder_info(path: str) -> Info:
    return {"name": path, "size": 0, "type": "directory"}


def file_info(path: str, file: RemoteFile) -> Info:
    """Return the details of a file, without its URL, which may be signed."""
    md5 = None if file.md5 is None else file.md5.hex()
    return {"name": path, "size": file.size, "type": "file", "md5": md5, "mtime": _time(file.updated_at)}


def _time(text: str | None) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)


def encode_part(name: str) -> str:
    """Return a name at W&B as one part of a path, percent-encoded if necessary."""
    if "/" not in name and safe_path(name) == name:
        return name
    return quote(name, safe="", errors="surrogatepass").replace(".", "%2E")


def decode_part(part: str) -> str:
    """Return the name for a result of `encode_part`."""
    try:
        return unquote(part, errors="surrogatepass")
    except UnicodeDecodeError:
        return unquote(part)
