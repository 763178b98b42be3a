"""Limits of the server and those that wandb-runtime checks, which have separate tables."""

from wandb_devserver._domain import limits as server
from wandb_runtime.config.limits import LONGEST


def test_limits_of_server_and_runtime_are_equal() -> None:
    """The server accepts every value that a task may set."""
    of_server = {
        "id": server.MAX_RUN_ID,
        "job_type": server.MAX_JOB_TYPE,
        "name": server.MAX_RUN_NAME,
        "project": server.MAX_PROJECT,
        "tag": server.MAX_TAG,
    }

    assert {field: LONGEST[field] for field in of_server} == of_server
