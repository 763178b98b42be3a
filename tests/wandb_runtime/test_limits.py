"""W&B's limits on names, checked where they are written."""

from typing import Any

import pytest
from wandb_artifacts import InvalidValueError
from wandb_runtime import wandb_config, wandb_init
from wandb_runtime.config.limits import LONGEST, shorten


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"tags": ["a" * 65]}, "1 to 64"),
        ({"tags": [""]}, "1 to 64"),
        ({"job_type": "a" * 65}, "at most 64"),
        ({"job_type": ""}, "must not be empty"),
        ({"name": "a" * 129}, "at most 128"),
        ({"name": ""}, "must not be empty"),
        ({"group": ""}, "must not be empty"),
        ({"id": "a" * 129}, "128"),
        ({"id": "a b"}, "must not contain ' '"),
        ({"id": "a%b"}, "must not contain '%'"),
        ({"id": ".."}, "has a meaning in URLs"),
        ({"id": "a/b"}, "does not allow /"),
        ({"project": ".."}, "has a meaning in URLs"),
        ({"project": "a" * 129}, "128"),
        ({"entity": "My Team!"}, "letters, digits"),
        ({"entity": "a/b"}, "does not allow /"),
        ({"settings": {"init_timout": 3}}, "did you mean init_timeout?"),
        ({"settings": {"nonsense_without_likeness": 3}}, "attributes of wandb.Settings"),
        ({"resume_from": "run"}, "a run and a step"),
        ({"fork_from": "run?step=1"}, "a run and a step"),
    ],
)
@pytest.mark.parametrize("function", [wandb_config, wandb_init])
def test_value_that_wandb_refuses_or_loses_is_refused(function: Any, arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidValueError, match=expected.replace("?", r"\?")) as caught:
        function(**arguments)

    assert caught.value.field.startswith(next(iter(arguments)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"tags": ["a", "b" * 64]},
        {"job_type": "a" * 64},
        {"name": "A name, 100 %"},
        {"id": "a" * 128},
        {"id": "run-1_2.3"},
        {"project": "my project"},
        {"entity": "my-team_1.x"},
        {"settings": {"init_timeout": 3}},
        {"resume_from": "run?_step=1"},
    ],
)
def test_value_at_the_limit_is_accepted(arguments: dict[str, Any]) -> None:
    wandb_config(**arguments)


def test_long_default_is_truncated_with_a_unique_suffix() -> None:
    """The same for the same name, within W&B's limit."""
    one, other = (shorten("job_type", f"{'a' * 80}{end}") for end in ("x", "y"))

    assert one == shorten("job_type", f"{'a' * 80}x") != other
    assert len(one) == len(other) == LONGEST["job_type"]
    assert shorten("job_type", "short") == "short"
