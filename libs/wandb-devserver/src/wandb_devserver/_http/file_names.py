"""The convertor `file` of routes: the name of a file, which may contain slashes and line breaks."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class FileNameConvertor(Convertor[str]):
    # Starlette's `path` ends at a line break.
    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("file", FileNameConvertor())
