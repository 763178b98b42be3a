"""Queries for runs and projects through the public API."""

from __future__ import annotations

from typing import Any

import pytest
from wandb_devserver import DevServer

from tests.wandb_devserver.support import RawClient, Scripts

RUNS = """query Runs($filters: JSONString, $order: String, $cursor: String, $perPage: Int = 50) {
  project(name: "p") { runCount(filters: $filters)
    runs(filters: $filters, order: $order, after: $cursor, first: $perPage) {
    edges { node { name } cursor } pageInfo { endCursor hasNextPage } } } }"""


def test_runs_are_filtered_ordered_and_paged(scripts: Scripts) -> None:
    """Every kind of filter and order in the SDK's documentation, lazy and eager, in pages of two."""
    seen = scripts.run("""
losses = [3, None, 1, 2, float("nan")]
for index, loss in enumerate(losses):
    with wandb.init(project="p", id=f"r{index}", name=f"run {index}", group="even" if index % 2 == 0 else "odd",
                    job_type="train", tags=[f"t{index}", "all"], config={"lr": index / 10, "net": {"depth": index}},
                    reinit="create_new") as run:
        if loss is not None:
            run.log({"loss": loss})
    if index == 3:
        wandb.init(project="p", id="bad", reinit="create_new").finish(exit_code=1)
api = wandb.Api()
def ids(filters=None, order="+created_at", **options):
    return [run.id for run in api.runs("local/p", filters, order=order, per_page=2, **options)]
report({
    "all": ids(), "eager": ids(lazy=False), "length": len(api.runs("local/p")),
    "newest": ids(order="-created_at"),
    "loss": ids(order="+summary_metrics.loss"), "-loss": ids(order="-summary_metrics.loss"),
    "lr": ids({"group": "even"}, order="-config.lr.value"),
    "state": ids({"state": "failed"}),
    "display": ids({"display_name": "run 2"}), "displayName": ids({"displayName": "run 3"}),
    "tags": ids({"tags": "t1"}), "in": ids({"tags": {"$in": ["t1", "t3"]}}), "nin": ids({"tags": {"$nin": ["all"]}}),
    "and": ids({"$and": [{"config.lr": {"$gt": 0.1}}, {"config.lr.value": {"$lte": 0.3}}]}),
    "or": ids({"$or": [{"name": "r0"}, {"group": "odd", "jobType": "train"}]}), "empty or": len(ids({"$or": []})),
    "nested": ids({"config.net.depth": 4}), "nested value": ids({"config.net.value.depth": 4}),
    "summary": ids({"summary_metrics.loss": {"$lt": 3}}), "exists": ids({"summary_metrics.loss": {"$exists": False}}),
    "regex": ids({"display_name": {"$regex": "^run [12]$"}}), "not": ids({"$not": {"group": {"$in": ["even", "odd"]}}}),
    "since": len(ids({"created_at": {"$gte": "2020-01-01"}})),
    "before": ids({"createdAt": {"$lt": "2020-01-01T00:00:00Z"}}),
    "user": len(ids({"username": "local", "entity": "local"})),
    "short": len(ids({"duration": {"$lt": 3600}})), "long": ids({"duration": {"$gte": 3600}}),
})
""")
    everything = ["r0", "r1", "r2", "r3", "bad", "r4"]

    assert seen["all"] == seen["eager"] == everything
    assert seen["length"] == seen["empty or"] == seen["since"] == seen["user"] == seen["short"] == 6
    assert seen["long"] == []
    assert seen["newest"] == everything[::-1]
    assert seen["loss"][:3] == ["r2", "r3", "r0"]
    assert seen["-loss"][:3] == ["r0", "r3", "r2"]
    assert set(seen["loss"]) == set(seen["-loss"]) == set(everything)
    assert seen["lr"] == ["r4", "r2", "r0"]
    assert (seen["state"], seen["display"], seen["displayName"]) == (["bad"], ["r2"], ["r3"])
    assert (seen["tags"], seen["in"], seen["nin"]) == (["r1"], ["r1", "r3"], ["bad"])
    assert (seen["and"], seen["or"]) == (["r2", "r3"], ["r0", "r1", "r3"])
    assert seen["nested"] == seen["nested value"] == ["r4"]
    assert (seen["summary"], seen["exists"]) == (["r2", "r3"], ["r1", "bad"])
    assert (seen["regex"], seen["not"], seen["before"]) == (["r1", "r2"], ["bad"], [])


def test_deleting_runs_while_paging_skips_none(raw: RawClient) -> None:
    """A cursor is a position in the order, not a number of runs."""
    ids = [raw.open_run(f"r{number}")["id"] for number in range(6)]
    first = raw.data(RUNS, perPage=3)["project"]["runs"]
    for run_id in ids[:3]:
        raw.graphql("mutation DeleteRun($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }", id=run_id)
    second = raw.data(RUNS, perPage=3, cursor=first["edges"][-1]["cursor"])["project"]["runs"]

    assert [edge["node"]["name"] for edge in second["edges"]] == ["r3", "r4", "r5"]
    assert second["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"filters": '{"colour": "red"}'}, "'colour'"),
        ({"filters": '{"state": {"$near": 1}}'}, "'$near'"),
        ({"filters": '{"$xor": []}'}, "$xor"),
        ({"filters": '{"created_at": {"$gt": "yesterday"}}'}, "'yesterday'"),
        ({"filters": '{"name": {"$regex": "("}}'}, "'('"),
        ({"filters": '["state"]'}, "['state']"),
        ({"order": "+colour"}, "'+colour'"),
        ({"cursor": "nonsense"}, "'nonsense'"),
    ],
)
def test_invalid_filter_or_order_is_refused(raw: RawClient, variables: dict[str, str], named: str) -> None:
    """The list of runs is never silently wrong."""
    raw.open_run("r")
    response: Any = raw.graphql(RUNS, None, **variables).json()

    assert named in response["errors"][0]["message"]


def test_missing_run_or_project_raises(scripts: Scripts) -> None:
    """The SDK's own exceptions for a run, a project, and the runs of a project."""
    seen = scripts.run("""
wandb.init(project="p", id="r").finish()
api = wandb.Api()
errors = []
for read in (lambda: api.run("local/p/nope"), lambda: api.run("local/nope/r"), lambda: len(api.runs("local/nope"))):
    try:
        read()
    except (wandb.errors.CommError, ValueError) as error:
        errors.append([type(error).__name__, type(getattr(error, "exc", None)).__name__])
report(errors)
""")
    assert seen == [["CommError", "RunNotFoundError"]] * 2 + [["ValueError", "NoneType"]]


def test_projects_are_listed_and_created(server: DevServer, scripts: Scripts) -> None:
    """Each entity has its own projects."""
    seen = scripts.run("""
for number in range(3):
    wandb.init(project=f"p{number}", reinit="create_new").finish()
wandb.init(project="theirs", entity="others", id="r", reinit="create_new").finish()
api = wandb.Api()
api.create_project("made", "local")
report([[project.name for project in api.projects("local", per_page=2)], api.project("p1", "local").id,
        [project.name for project in api.projects("others")], api.viewer.username, api.default_entity])
""")
    assert seen[0] == ["p0", "p1", "p2", "made"]
    assert seen[1]
    assert seen[2:] == [["theirs"], "local", "local"]
    assert server.run("others/theirs/r").state == "finished"


def test_invalid_run_or_project_name_is_refused(raw: RawClient) -> None:
    """No URL could name such a run or project."""
    for fields in (
        {"name": "a/b", "modelName": "p"},
        {"name": "a", "modelName": "p/q"},
        {"name": " ", "modelName": "p"},
    ):
        response: Any = raw.graphql(
            "mutation U($input: UpsertBucketInput!) { upsertBucket(input: $input) { inserted } }", input=fields
        ).json()
        assert "use" in response["errors"][0]["message"], fields
