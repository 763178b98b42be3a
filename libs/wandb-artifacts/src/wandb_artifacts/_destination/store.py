"""What file systems tell of a file, each in its own words."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from wandb_artifacts._destination.base import Stat

_TAGS = ("ETag", "e_tag", "etag")
_DIGESTS = ("md5Hash", "md5", "content_md5")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_LENGTH = 16


class Information:
    """The answer of fsspec's `info`.

    Args:
        answer: A dictionary whose keys depend on the file system, but for name, size and type.
    """

    def __init__(self, answer: Mapping[str, object]) -> None:
        self._answer = answer

    @property
    def is_file(self) -> bool:
        return self._answer.get("type") == "file"

    @property
    def size(self) -> int:
        """Bytes; -1 where the file system does not tell."""
        size = self._answer.get("size")
        return size if isinstance(size, int) else -1

    @property
    def stat(self) -> Stat:
        told = self._first(_TAGS) or self._first(_DIGESTS) or self._first(_TIMES)
        return Stat(self.size, f"{self.size}-{told}")

    @property
    def md5(self) -> bytes | None:
        """The digest of the contents, where the file system tells one. A tag may only look like it."""
        tag = self._first(_TAGS).strip('"').lower()
        if _MD5.match(tag):
            return bytes.fromhex(tag)
        digest = self._first(_DIGESTS)
        if _MD5.match(digest.lower()):
            return bytes.fromhex(digest)
        try:
            found = base64.b64decode(digest, validate=True)
        except (binascii.Error, ValueError):
            return None
        return found if len(found) == _LENGTH else None

    def _first(self, keys: tuple[str, ...]) -> str:
        return next((str(self._answer[key]) for key in keys if self._answer.get(key)), "")
