"""Syncing of offline runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_devserver import DevServer

from tests.wandb_devserver.support import Scripts

if TYPE_CHECKING:
    from pathlib import Path

OFFLINE = """
with wandb.init(project="p", id="r", config={"lr": 1}, mode="offline") as run:
    for value in range(60):
        run.log({"value": value})
    print("offline line")
"""


def folder_of(tmp_path: Path, kind: str) -> str:
    (folder,) = tmp_path.glob(f"wandb/{kind}-*")
    return str(folder)


def test_offline_run_is_synced_completely_and_once(server: DevServer, scripts: Scripts, tmp_path: Path) -> None:
    """Syncing twice changes nothing."""
    scripts.run(OFFLINE)
    folder = folder_of(tmp_path, "offline-run")
    scripts.command("sync", folder)
    first = server.run("local/p/r")
    scripts.command("sync", "--no-skip-synced", folder)
    second = server.run("local/p/r")

    assert [row["value"] for row in first.history] == list(range(60))
    assert (first.state, first.exit_code, first.config) == ("finished", 0, {"lr": 1})
    assert "offline line" in first.console
    assert (second.history, second.console, second.summary) == (first.history, first.console, first.summary)
    assert len(second.events) == len(first.events)
    assert set(second.files) == set(first.files)


def test_sync_replays_the_exit_code(server: DevServer, scripts: Scripts, tmp_path: Path) -> None:
    """A failed offline run is a failed run."""
    scripts.exit_code("wandb.init(project='p', id='r', mode='offline'); sys.exit(4)")
    scripts.command("sync", folder_of(tmp_path, "offline-run"))

    assert (server.run("local/p/r").state, server.run("local/p/r").exit_code) == ("failed", 4)


def test_syncing_a_crashed_run_duplicates_no_row(server: DevServer, scripts: Scripts, tmp_path: Path) -> None:
    """The server overwrites rows that it has already."""
    with scripts.start(
        """
run = wandb.init(project="p", id="r")
for value in range(20):
    run.log({"value": value})
input()
""",
        WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL="1",
        # Its requests show that the log has been flushed.
        WANDB_X_DISABLE_STATS="false",
        WANDB_X_STATS_SAMPLING_INTERVAL="1",
    ) as process:
        server.requests.wait("file_stream", count=4)
        process.kill()
        process.communicate()
    before = [row["value"] for row in server.run("local/p/r").history]
    scripts.command("sync", "--no-skip-online", folder_of(tmp_path, "run"))
    after = server.run("local/p/r")

    assert before == list(range(20))
    assert [row["value"] for row in after.history] == before
    assert after.state == "failed"
