"""Executes the code blocks of a document in order, as one program: `python -m tests.docs.page FILE`.

Python blocks share the namespace of `__main__`. The program is also a file, with each line where it is in the document:
for tracebacks, and for code that reads the source of functions.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.documents import Block


def main(file: str) -> None:
    page: list[Block] = pickle.loads(Path(file).read_bytes())
    source = Path("page.py")
    source.write_text(program(page), encoding="utf-8")
    namespace = sys.modules["__main__"].__dict__
    namespace["__file__"] = str(source.resolve())
    sys.path.insert(0, str(Path.cwd()))
    for block in page:
        sys.stdout.write(f"--- {block}\n")
        sys.stdout.flush()
        if block.file:
            Path(block.file).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, str(source.resolve()), "exec"), namespace)
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], check=True)


def program(page: list[Block]) -> str:
    """Return the Python blocks as one file, with each line where it is in the document."""
    lines: list[str] = []
    for block in page:
        if block.language == "python" and not block.file:
            lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main(sys.argv[1])
