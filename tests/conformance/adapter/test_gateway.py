"""The gateway between wandb's system tests and one devserver per user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

GATEWAY = Path(__file__).parents[3] / "scripts" / "conformance" / "gateway.py"
VIEWER = "query Viewer { viewer { entity } }"


class Gateway:
    """The two ports of a gateway."""

    def __init__(self, base_port: int, fixture_port: int) -> None:
        self.base = httpx.Client(base_url=f"http://localhost:{base_port}", trust_env=False)
        self.fixtures = httpx.Client(base_url=f"http://localhost:{fixture_port}", trust_env=False)

    def create(self, kind: str, **command: Any) -> None:
        self.fixtures.post(f"/db/{kind}", json={"command": "up", **command}).raise_for_status()

    def add_user(self, name: str) -> str:
        self.create("user", username=name)
        return name

    def query(self, key: str, document: str) -> httpx.Response:
        return self.base.post("/graphql", json={"query": document}, auth=("api", key))

    def viewer(self, key: str) -> httpx.Response:
        return self.query(key, VIEWER)

    def close(self) -> None:
        self.base.close()
        self.fixtures.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    command = [sys.executable, str(GATEWAY), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        gateway = Gateway(*ports)
        try:
            yield gateway
        finally:
            gateway.close()
            process.terminate()
    assert process.returncode == 0


def requests(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "requests.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if "path" in entry]


def test_each_key_reaches_the_server_of_its_user(gateway: Gateway) -> None:
    users = [gateway.add_user(f"user_gw{number}-" + "a" * 40) for number in (0, 1)]

    viewers = [gateway.viewer(user).json()["data"]["viewer"]["entity"] for user in users]

    assert viewers == users


def test_unknown_key_is_refused(gateway: Gateway) -> None:
    assert gateway.viewer("x" * 40).status_code == 401


def test_organizations_and_teams_are_created_on_the_server_of_their_user(gateway: Gateway) -> None:
    first, second = (gateway.add_user(f"user_gw{number}-" + "a" * 40) for number in (0, 1))
    state = {"planName": "plan", "team": {"name": "team-a"}, "organization": {"name": "org-a"}}

    gateway.create("organization", orgName="org-a", username=first)
    gateway.create("team", username=first, fixtureData=state)

    document = 'query Team { entity(name: "team-a") { organization { name } } }'
    found = [gateway.query(user, document).json()["data"]["entity"]["organization"]["name"] for user in (first, second)]
    assert found == ["org-a", f"{second}-org"]


def test_later_users_are_known_to_the_servers_of_earlier_ones(gateway: Gateway) -> None:
    first, second = (gateway.add_user(f"user_gw{number}-" + "a" * 40) for number in (0, 1))

    document = f'query SearchUsers {{ users(query: "{second}") {{ edges {{ node {{ username }} }} }} }}'
    found = gateway.query(first, document).json()["data"]["users"]["edges"]

    assert [edge["node"]["username"] for edge in found] == [second]


def test_requests_are_logged_with_user_and_operation(gateway: Gateway, tmp_path: Path) -> None:
    user = gateway.add_user("user_gw0-" + "a" * 40)

    gateway.viewer(user)

    (entry,) = requests(tmp_path)
    assert (entry["user"], entry["operation"], entry["status"]) == (user, "Viewer", 200)
