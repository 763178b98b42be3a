"""The gateway between wandb's system tests and one devserver per user."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from wandb_devserver import DevServerError
from wandb_devserver._storage import organizations

from scripts.conformance.gateway import Farm, database
from tests.support import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

GATEWAY = Path(__file__).parents[3] / "scripts" / "conformance" / "gateway.py"
VIEWER = "query Viewer { viewer { entity } }"


class Gateway:
    """The two ports of a gateway, and the folder of its logs."""

    def __init__(self, folder: Path, base_port: int, fixture_port: int) -> None:
        self._folder = folder
        self.base = loopback.Client(base_url=f"http://localhost:{base_port}", trust_env=False)
        self.fixtures = loopback.Client(base_url=f"http://localhost:{fixture_port}", trust_env=False)

    def create(self, kind: str, **command: Any) -> None:
        self.fixtures.post(f"/db/{kind}", json={"command": "up", **command}).raise_for_status()

    def add_user(self) -> str:
        """Create a user with an unused name."""
        name = f"user-{uuid.uuid4().hex:0>40}"
        self.create("user", username=name)
        return name

    def query(self, key: str, document: str) -> httpx.Response:
        return self.base.post("/graphql", json={"query": document}, auth=("api", key))

    def viewer(self, key: str) -> httpx.Response:
        return self.query(key, VIEWER)

    def requests(self, user: str) -> list[dict[str, Any]]:
        """The logged requests of a user."""
        lines = (self._folder / "requests.jsonl").read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry.get("user") == user]

    def close(self) -> None:
        self.base.close()
        self.fixtures.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    command = [sys.executable, str(GATEWAY), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        gateway = Gateway(folder, *ports)
        try:
            yield gateway
        finally:
            gateway.close()
            process.terminate()
    assert process.returncode == 0


def test_each_key_reaches_the_server_of_its_user(gateway: Gateway) -> None:
    users = [gateway.add_user() for _ in range(2)]

    viewers = [gateway.viewer(user).json()["data"]["viewer"]["entity"] for user in users]

    assert viewers == users


def test_unknown_key_is_refused(gateway: Gateway) -> None:
    assert gateway.viewer("x" * 40).status_code == 401


def test_organizations_and_teams_are_created_on_the_server_of_their_user(gateway: Gateway) -> None:
    first, second = (gateway.add_user() for _ in range(2))
    state = {"planName": "plan", "team": {"name": "team-a"}, "organization": {"name": "org-a"}}

    gateway.create("organization", orgName="org-a", username=first)
    gateway.create("team", username=first, fixtureData=state)

    document = 'query Team { entity(name: "team-a") { organization { name } } }'
    found = [gateway.query(user, document).json()["data"]["entity"]["organization"]["name"] for user in (first, second)]
    assert found == ["org-a", f"{second}-org"]


def test_new_users_are_added_to_existing_servers(gateway: Gateway) -> None:
    first, second = (gateway.add_user() for _ in range(2))

    document = f'query SearchUsers {{ users(query: "{second}") {{ edges {{ node {{ username }} }} }} }}'
    found = gateway.query(first, document).json()["data"]["users"]["edges"]

    assert [edge["node"]["username"] for edge in found] == [second]


def test_requests_are_logged_with_user_and_operation(gateway: Gateway) -> None:
    user = gateway.add_user()

    gateway.viewer(user)

    (entry,) = gateway.requests(user)
    assert (entry["user"], entry["operation"], entry["status"]) == (user, "Viewer", 200)


def test_server_that_was_stopped_for_others_keeps_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.conformance.gateway.MAX_RUNNING", 1)
    first, second = "a" * 40, "b" * 40
    farm = Farm(tmp_path)
    try:
        farm.add(first)
        farm.add_team(first, "team-a", "org-a")
        stopped = farm.server(first)
        farm.add(second)

        with pytest.raises(DevServerError, match="not running"):
            database(stopped)
        with database(farm.server(first)).read() as connection:
            assert organizations.find_team(connection, "team-a")
    finally:
        farm.stop()
