"""JSON of exported rows: whole columns are converted at a time, without a Python object per row."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from wandb_artifacts._history.columns import to_json_text
from wandb_artifacts._json import dump


def to_json_rows(batch: Any, *, before: str, after: str) -> bytes:
    """Return the rows of a batch as JSON objects without the keys that are null.

    Args:
        batch: A record batch whose first column has no nulls.
        before: Text before each object.
        after: Text after each object.
    """
    pieces: list[Any] = [f"{before}{{"]
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        lead = f"{', ' if len(pieces) > 1 else ''}{dump(name).decode()}: "
        text = to_json_text(column)
        if text.null_count == len(text):
            continue
        if text.null_count:
            pieces.append(pc.fill_null(pc.binary_join_element_wise(lead, text, ""), ""))
        else:
            pieces += [lead, text]
    rows = pc.binary_join_element_wise(*pieces, f"}}{after}", "")
    offsets, text = rows.buffers()[1:]
    ends = memoryview(offsets).cast("i")
    begin, end = ends[rows.offset], ends[rows.offset + len(rows)]
    found: bytes = text.slice(begin, end - begin).to_pybytes()
    return found
