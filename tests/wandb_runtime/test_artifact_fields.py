"""Arguments that `log_wandb_artifact` refuses before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flyte.io import Dir, File
from wandb_artifacts import InvalidValueError
from wandb_runtime import NoRunError, log_wandb_artifact

GIVEN: dict[str, Any] = {"data": __file__, "name": "n", "type": "dataset"}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("name", "", "must not be empty"),
        ("name", " ", "must not be empty"),
        ("name", 5, "must be a string, not int"),
        ("name", "a b", "replace the others"),
        ("name", "a/b", "replace the others"),
        ("name", "a:v3", "W&B assigns the version"),
        ("name", "n" * 129, "has 129 characters; W&B accepts at most 128"),
        ("type", None, "is missing; give one, such as 'dataset'"),
        ("type", "", "must not be empty"),
        ("type", "a/b", "must not contain '/'"),
        ("type", "wandb-history", "is reserved for W&B itself"),
        ("type", "job", "is reserved for W&B itself"),
        ("aliases", "best", "must be a list of strings"),
        ("aliases", ["best", "a/b"], "aliases[1]='a/b': must not contain '/'"),
        ("aliases", ["v3"], "has the form of a version, which W&B assigns"),
        ("aliases", [""], "must not be empty"),
        ("tags", ["a/b"], "tags[0]='a/b': W&B accepts letters"),
        ("tags", ["t" * 65], "1 to 64 characters"),
        ("tags", "tag", "must be a list of strings"),
        ("description", 5, "must be a string"),
        ("metadata", [1], "must be a dictionary, not list"),
        ("metadata", {"f": object()}, "metadata['f']: W&B would store only a description"),
        ("metadata", {"x": {"y": float("inf")}}, "has an infinite number"),
        ("metadata", {str(key): 0 for key in range(101)}, "has 101 keys; W&B accepts at most 100"),
        ("metadata", {"api_key": "s3cr3t"}, "metadata['api_key']: looks like a credential"),
        ("data", None, "must be a flyte.io.Dir or File, a path, or the URL of an object store, not NoneType"),
        ("data", 5, "not int"),
        ("data", "", "must be the path"),
        ("data", "no/such/folder", "is not a file or folder"),
        ("data", Path("/no/such/file"), "is not a file or folder"),
        ("data", Dir(path="/no/such/dir"), "is not a file or folder"),
        ("data", File(path="file:///no/such/file"), "is not a file or folder"),
        ("data", "file:///tmp", "W&B can refer to s3://, gs://, https://, http:// only"),
        ("data", "memory://x", "pass Dir(path=...) or File(path=...) to copy the data"),
        ("data", "s3://key:s3cr3t@bucket/x", "data='s3://bucket/x': has a user, a query or a fragment"),
        ("data", "https://host/x?sig=s3cr3t", "data='https://host/x': has a user, a query or a fragment"),
        ("run", "id", "must be the object that wandb.init() returns, not str"),
    ],
)
def test_invalid_argument_is_named(field: str, value: object, expected: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        log_wandb_artifact(**{**GIVEN, field: value})
    assert expected in str(caught.value)
    assert str(caught.value).startswith(field)
    assert "s3cr3t" not in str(caught.value)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="has no files; check the path"):
        log_wandb_artifact(**{**GIVEN, "data": tmp_path})


def test_call_without_a_run_raises() -> None:
    with pytest.raises(NoRunError, match="outside of Flyte tasks"):
        log_wandb_artifact(**GIVEN)
