"""Lookup and merging in the JSON documents of a run (configuration, summary) by dotted paths."""

from __future__ import annotations

import math

from wandb_devserver._json import Json, JsonObject, dumps, is_int64, is_number, loads_object

INTERNAL_KEY = "_wandb"
"""Where the SDK keeps its own entries in configuration and summary."""


class Missing:
    """Stands for a path that leads nowhere, which is not the same as one that leads to `None`."""


MISSING = Missing()


def lookup(document: JsonObject, path: str) -> Json | Missing:
    """Return what the dotted `path` leads to; keys that hold dots themselves are found too."""
    if path in document:
        return document[path]
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        inner = document.get(".".join(parts[:cut]))
        if isinstance(inner, dict):
            found = lookup(inner, ".".join(parts[cut:]))
            if not isinstance(found, Missing):
                return found
    return MISSING


def lookup_config(config: JsonObject, path: str) -> Json | Missing:
    """Look up a configuration path written with or without the `value` that wraps each entry."""
    found = lookup(config, path)
    if isinstance(found, Missing):
        return lookup(plain_config(config), path)
    return found["value"] if isinstance(found, dict) and "value" in found else found


def plain_config(config: JsonObject) -> JsonObject:
    """Return a configuration document as the user wrote it: unwrapped, without internals."""
    return {
        key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
        for key, entry in config.items()
        if key not in (INTERNAL_KEY, "wandb_version")
    }


def merge_shared(stored: JsonObject, sent: JsonObject) -> JsonObject:
    """Merge what one of several writers knows into what is stored: by key, internals recursively."""
    merged = {**stored, **sent}
    if INTERNAL_KEY in stored and INTERNAL_KEY in sent:
        merged[INTERNAL_KEY] = _merge_deep(stored[INTERNAL_KEY], sent[INTERNAL_KEY])
    return merged


def _merge_deep(stored: Json, sent: Json) -> Json:
    if not isinstance(stored, dict) or not isinstance(sent, dict):
        return sent
    return {**stored, **{key: _merge_deep(stored.get(key), item) for key, item in sent.items()}}


def sort_value(document: str | None, path: str) -> str | int | float | None:
    """SQL function: the value at `path` (`config.x` or `summary.x`) in a form that SQLite orders."""
    part, _, rest = path.partition(".")
    content = loads_object(document)
    found = lookup_config(content, rest) if part == "config" else lookup(content, rest)
    if isinstance(found, (Missing, type(None))) or (isinstance(found, float) and math.isnan(found)):
        return None
    if isinstance(found, int) and not is_int64(found) and not isinstance(found, bool):
        return float(found) if is_number(found) else math.inf if found > 0 else -math.inf
    return dumps(found) if isinstance(found, (dict, list)) else found
