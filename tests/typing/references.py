"""Uses of references to runs and sweeps. Never executed: read by mypy, see tests/install/test_consumers.py."""

from typing_extensions import assert_type
from wandb_artifacts import RunRef, SweepRef, is_transient

run = RunRef("entity", "project", "id", host="https://wandb.example.com")
assert_type(run, RunRef)
assert_type(RunRef.parse("entity/project/id"), RunRef)
assert_type(SweepRef.parse("id", entity="e", project="p"), SweepRef)
assert_type(run.entity, str)
assert_type(run.project, str)
assert_type(run.id, str)
assert_type(run.host, str | None)
assert_type(run.url, str)
assert_type(is_transient(ValueError()), bool)
members: set[RunRef] = {run}

RunRef("entity", "project")  # type: ignore[call-arg]
RunRef("entity", "project", 1)  # type: ignore[arg-type]
RunRef.parse(1)  # type: ignore[arg-type]
run.id = "other"  # type: ignore[misc]
run.run_id  # type: ignore[attr-defined]  # noqa: B018
is_transient("503")  # type: ignore[arg-type]
as_sweep: SweepRef = run  # type: ignore[assignment]
