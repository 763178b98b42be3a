"""Console output."""

from __future__ import annotations

import json

import pytest
from wandb_devserver import DevServer
from wandb_devserver._domain.streams import ConsoleLine, parse_line

from tests.wandb_devserver.support import RawClient, Scripts

PAGE = """query RunConsoleLogPage($first: Int, $after: String) { project(name: "p") { run(name: "r") { logLineCount
  logLines(first: $first, after: $after, useImprovedPagination: true) {
    edges { node { number line } } pageInfo { endCursor hasNextPage } } } } }"""


def test_console_lines_are_read_back(server: DevServer, scripts: Scripts) -> None:
    """From the start, from the end, in pages, with levels and times."""
    seen = scripts.run("""
with wandb.init(project="p", id="r") as run:
    for number in range(30):
        print("line", number)
    print("problem", file=sys.stderr)
run = wandb.Api().run("local/p/r")
lines = list(run.console_logs(per_page=4))
report([[line.content for line in lines], [line.content for line in run.console_logs(last=2)],
        [line.level for line in lines if line.content == "problem"], all(line.timestamp for line in lines)])
""")
    whole, tail, levels, timed = seen

    assert sorted(whole) == sorted([*(f"line {number}" for number in range(30)), "problem"])
    assert tail == whole[-2:]
    assert (levels, timed) == (["error"], True)
    assert server.run("local/p/r").console == whole


def test_line_has_the_label_of_its_writer(scripts: Scripts) -> None:
    """The label is not part of the text."""
    lines = scripts.run("""
with wandb.init(project="p", id="r", settings=wandb.Settings(mode="shared", x_label="rank-1")) as run:
    print('quoted "text" <&>')
report([[line.label, line.content] for line in wandb.Api().run("local/p/r").console_logs()])
""")

    assert ["rank-1", 'quoted "text" <&>'] in lines


def test_search_matches_the_printed_text(raw: RawClient) -> None:
    """JSON escapes and keys do not match."""
    raw.open_run("r")
    lines = [json.dumps({"ts": "2024-05-01T10:00:00", "content": text}) for text in ('say "Hi" <', "content")]
    raw.stream({"files": {"output.log": {"offset": 0, "content": lines}}})

    def found(text: str) -> list[int]:
        lines = raw.pages.get("/-/data/console/local/p/r", params={"search": text}).json()["lines"]
        return [position for position, *_ in lines]

    assert (found('"hi" <'), found("content"), found("ts")) == ([0], [1], [])


def test_traceback_is_in_the_console(server: DevServer, scripts: Scripts) -> None:
    """The reason of a failure can be read on the server."""
    scripts.exit_code("wandb.init(project='p', id='r'); raise ValueError('the reason')")

    assert "ValueError: the reason" in server.run("local/p/r").console


def test_resent_line_replaces_its_text(raw: RawClient, server: DevServer) -> None:
    """A progress bar rewrites its line; later lines stay."""
    raw.open_run("r")
    for offset, lines in ((0, ["10 %", "after"]), (0, ["20 %"])):
        raw.stream({"files": {"output.log": {"offset": offset, "content": lines}}})

    assert server.run("local/p/r").console == ["20 %", "after"]


def test_full_last_page_has_no_next_page(raw: RawClient) -> None:
    raw.open_run("r")
    raw.stream({"files": {"output.log": {"offset": 0, "content": ["a", "b", "c", "d"]}}})
    first = raw.data(PAGE, first=2)["project"]["run"]
    second = raw.data(PAGE, first=2, after=first["logLines"]["pageInfo"]["endCursor"])["project"]["run"]

    assert first["logLineCount"] == 4
    assert [edge["node"]["line"] for edge in first["logLines"]["edges"]] == ["a", "b"]
    assert first["logLines"]["pageInfo"]["hasNextPage"] is True
    assert [edge["node"]["number"] for edge in second["logLines"]["edges"]] == [2, 3]
    assert second["logLines"]["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plain", ConsoleLine("plain")),
        ("2024-05-01T10:00:00.123456 text\n", ConsoleLine("text", "2024-05-01T10:00:00.123456")),
        ("ERROR 2024-05-01T10:00:00.1Z bad", ConsoleLine("bad", "2024-05-01T10:00:00.1Z", "error")),
        ("ERROR by the user", ConsoleLine("ERROR by the user")),
        ("2024-05-01T10:00:00 ", ConsoleLine("", "2024-05-01T10:00:00")),
        ('{"ts":"2024-05-01T10:00:00.1","content":"a \\u003c b"}', ConsoleLine("a < b", "2024-05-01T10:00:00.1")),
        ('{"level":"error","ts":"t","label":"l","content":"bad"}', ConsoleLine("bad", "t", "error", "l")),
        ('{"content":"printed by the user"}', ConsoleLine('{"content":"printed by the user"}')),
    ],
)
def test_line_is_parsed_into_time_level_and_text(line: str, expected: ConsoleLine) -> None:
    """The text stays as printed."""
    assert parse_line(line) == expected
