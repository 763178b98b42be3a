"""The rank of a process, from the environment variables of the launchers."""

from typing import Any

import pytest
from wandb_artifacts import InvalidValueError
from wandb_runtime import DistributedInfo, get_distributed_info
from wandb_runtime.tasks.distributed import distributed_info, is_launched

TORCH_ELASTIC = {
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "GROUP_WORLD_SIZE": "2",
    "ROLE_RANK": "3",
    "MASTER_ADDR": "127.0.0.1",
    "TORCHELASTIC_RUN_ID": "run1",
    "TORCHELASTIC_RESTART_COUNT": "0",
}
CLUSTERED = {"FLYTE_CLUSTERED_WORKER": "1", "NODE_RANK": "1", "NNODES": "2", "JOBSET_RESTART_ATTEMPT": "0"}
JAX = {**CLUSTERED, "NPROC_PER_NODE": "1", "RANK": "1", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}


def info(*numbers: int) -> Any:
    names = ("rank", "local_rank", "world_size", "local_world_size", "worker_index", "num_workers")
    return dict(zip(names, numbers, strict=True))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WORLD_SIZE": ""}, None),
        ({**TORCH_ELASTIC, "WORLD_SIZE": "1", "RANK": "0", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}, None),
        ({**JAX, "WORLD_SIZE": "1", "RANK": "0"}, None),
        (TORCH_ELASTIC, info(3, 1, 4, 2, 1, 2)),
        # torchrun does not hand NODE_RANK on, Flyte's launcher does; torch may number the nodes otherwise
        ({**TORCH_ELASTIC, **CLUSTERED, "NODE_RANK": "0"}, info(3, 1, 4, 2, 1, 2)),
        # one worker
        (
            {**TORCH_ELASTIC, "WORLD_SIZE": "2", "RANK": "1", "GROUP_RANK": "0", "GROUP_WORLD_SIZE": "1"},
            info(1, 1, 2, 2, 0, 1),
        ),
        # workers of different sizes: two processes on the first, one on the second
        (
            {**TORCH_ELASTIC, "WORLD_SIZE": "3", "RANK": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"},
            info(2, 0, 3, 1, 1, 2),
        ),
        # missing variables are computed
        ({"RANK": "3", "WORLD_SIZE": "5", "LOCAL_WORLD_SIZE": "2"}, info(3, 1, 5, 2, 1, 3)),
        (JAX, info(1, 0, 2, 1, 1, 2)),
        ({**JAX, "LOCAL_WORLD_SIZE": "1"}, info(1, 0, 2, 1, 1, 2)),
    ],
)
def test_rank_is_read_from_launcher_environment(environment: dict[str, str], expected: DistributedInfo | None) -> None:
    """Torch elastic, both kinds of flyte.clustered, and a minimal environment."""
    assert distributed_info(environment) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"WORLD_SIZE": "four"}, "WORLD_SIZE='four': must be a whole number from 1;"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE='0': must be a whole number from 1;"),
        ({"RANK": ""}, "RANK: is not set"),
        ({"RANK": "4"}, "RANK='4': must be a whole number from 0 to 3;"),
        ({"RANK": "-1"}, "RANK='-1'"),
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK='2': must be a whole number from 0 to 1;"),
        ({"LOCAL_WORLD_SIZE": "2.0"}, "LOCAL_WORLD_SIZE='2.0'"),
        ({"GROUP_RANK": "2"}, "GROUP_RANK='2'"),
        ({"GROUP_RANK": "", "NODE_RANK": "two"}, "NODE_RANK='two'"),
        ({"GROUP_WORLD_SIZE": "x"}, "GROUP_WORLD_SIZE='x'"),
    ],
)
def test_invalid_launcher_variable_is_refused_by_name(changes: dict[str, str], message: str) -> None:
    """Two ranks that opened the same run would destroy its data."""
    with pytest.raises(InvalidValueError) as caught:
        distributed_info({**TORCH_ELASTIC, **changes})

    assert str(caught.value).startswith(message)


def test_default_is_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCH_ELASTIC:
        monkeypatch.delenv(name, raising=False)
    alone = get_distributed_info()
    for name, value in TORCH_ELASTIC.items():
        monkeypatch.setenv(name, value)

    assert (alone, get_distributed_info()) == (None, info(3, 1, 4, 2, 1, 2))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"WORLD_SIZE": "1", "ACTION_NAME": "a0"}, False),
        ({"TORCHELASTIC_RUN_ID": "run1"}, True),
        ({"RANK": "0"}, True),
        ({"FLYTE_CLUSTERED_WORKER": "1"}, True),
    ],
)
def test_launched_process_is_recognized(environment: dict[str, str], expected: bool) -> None:
    """The launcher may have started only one process."""
    assert is_launched(environment) is expected
