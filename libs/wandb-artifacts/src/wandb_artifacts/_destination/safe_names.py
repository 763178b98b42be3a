"""Names from the server as paths that are safe on Linux, macOS and Windows, and in object stores.

A name that is a valid path everywhere is unchanged. In others, single characters are percent-encoded (`..` becomes
`%2E%2E`); a name that is too long, or collides with another one, gets `%~` and a digest. A '%' in a name that could be
read as either is encoded, so that two names never have the same path.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

WORK_FOLDER = ".wandb-artifacts"
"""Where a local destination keeps parts and its lock; files and folders of a run never have this name."""

_MAX_COMPONENT = 255
_MAX_PATH = 700
"""Bytes; leaves space for the destination within the 1,024 of macOS and of S3."""
_MAX_EXTENSION = 16
_MARK = "%~"

_UNSAFE = re.compile(
    r"""[\x00-\x1f\x7f-\x9f"*:<>?\\|\u2028\u2029\ud800-\udfff]   # control, Windows, lines, halves of surrogate pairs
    |%(?=[0-9A-Fa-f]{2}|~)""",
    re.VERBOSE,
)
_TRAILING = re.compile(r"[. ]+\Z")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE)
_EXTENSION = re.compile(rf"(?<=[^/])\.[A-Za-z0-9]{{1,{_MAX_EXTENSION}}}\Z")
_IGNORED = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])
"""Characters that HFS+ ignores when it compares names."""

_OTHER = ("/", False)
"""Stands for a reserved name; a file or folder cannot have it."""


def safe_path(name: str) -> str:
    """Return the path for one name: relative, with '/', and different for different names."""
    parts = [_safe_component(part) for part in name.split("/")]
    return _fit("/".join(parts), name)


def safe_paths(names: Iterable[str], *, reserved: Collection[str] = ()) -> dict[str, str]:
    """Return the paths for names that share a folder, which may ignore case and Unicode normal forms.

    A name has the path of `safe_path`, unless it collides with another one or a reserved name: then it gets a mark that
    depends only on the name.

    Args:
        names: Names from the server, in any order.
        reserved: Names that are not available.

    Returns:
        The path of each name.
    """
    paths = {name: safe_path(name) for name in names}
    siblings: defaultdict[tuple[str, str], set[tuple[str, bool]]] = defaultdict(set)
    for taken in reserved:
        siblings["", _fold(taken)].add(_OTHER)
    for path in paths.values():
        for parent, part, is_file in _steps(path):
            siblings[parent, _fold(part)].add((part, is_file))

    def resolved(parent: str, part: str, *, is_file: bool) -> str:
        group = siblings[parent, _fold(part)]
        rivals = len(group) if is_file else sum(not is_file for _, is_file in group)
        return part if rivals == 1 else _marked(part, f"{'file' if is_file else 'folder'}:{part}")

    return {
        name: _fit("/".join(resolved(parent, part, is_file=is_file) for parent, part, is_file in _steps(path)), name)
        for name, path in paths.items()
    }


class SafeFolders:
    """Folders for names without slashes that arrive one by one; a name that collides with an earlier one gets a mark.

    Args:
        taken: Folders of an earlier call, which keep their names.
        reserved: Names that are not available.
    """

    def __init__(self, taken: Iterable[str] = (), *, reserved: Collection[str] = ()) -> None:
        self._taken = frozenset(taken)
        self._owners = {_fold(name): _OTHER[0] for name in reserved}
        for folder in self._taken:
            self._owners.setdefault(_fold(folder), folder)

    def folder(self, name: str) -> str:
        """Return the folder of a name: the same on every call with the same earlier names."""
        path = safe_path(name)
        marked = _fit(_marked(path, f"file:{path}"), name)
        if marked in self._taken or self._owners.setdefault(_fold(path), path) != path:
            return marked
        return path


def _steps(path: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each component of a path with its folder, and whether it is the file."""
    start = 0
    while (end := path.find("/", start)) >= 0:
        yield path[:start], path[start:end], False
        start = end + 1
    yield path[:start], path[start:], True


def _fold(part: str) -> str:
    """Return a key that is equal for components that some file system does not distinguish."""
    if part.isascii():
        return part.lower()
    decomposed = unicodedata.normalize("NFD", part.translate(_IGNORED))
    return unicodedata.normalize("NFD", decomposed.casefold())


def _safe_component(part: str) -> str:
    if not part:
        return _MARK
    safe = _UNSAFE.sub(_encoded, part)
    safe = _TRAILING.sub(_encoded, safe)
    if _DEVICE.match(safe) or _fold(safe) == WORK_FOLDER:
        safe = _percent(safe[0]) + safe[1:]
    return _marked(safe, f"component:{part}") if len(safe.encode()) > _MAX_COMPONENT else safe


def _encoded(match: re.Match[str]) -> str:
    return _percent(match.group())


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _marked(part: str, what: str) -> str:
    """Return a component with a digest before its extension, cut to the allowed length."""
    extension = _extension(part)
    mark = f"{_MARK}{_digest(what)}{extension}"
    stem = part[: len(part) - len(extension)].encode()[: _MAX_COMPONENT - len(mark)]
    return stem.decode(errors="ignore") + mark


def _fit(path: str, name: str) -> str:
    """Return the path; if it is too long, its first folders and a digest in place of the rest."""
    if len(path.encode()) <= _MAX_PATH:
        return path
    last = f"{_MARK}{_digest(f'name:{name}')}{_extension(path)}"
    head = path.encode()[: _MAX_PATH - len(last) - 1].rpartition(b"/")[0].decode()
    return f"{head}/{last}" if head else last


def _extension(path: str) -> str:
    found = _EXTENSION.search(path)
    return found.group() if found else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
