"""Tables of organizations and teams, and of the teams that are members of registries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._errors import UsageError

if TYPE_CHECKING:
    import sqlite3

DEFAULT_ROLE = "member"


@dataclass(frozen=True, slots=True)
class StoredOrganization:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class StoredTeam:
    id: int
    name: str
    organization_id: int | None


@dataclass(frozen=True, slots=True)
class TeamMember:
    """A team with its role in a registry."""

    team: StoredTeam
    role: str


def add(connection: sqlite3.Connection, name: str) -> StoredOrganization:
    connection.execute("INSERT INTO organizations (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    row = connection.execute("SELECT * FROM organizations WHERE name = ?", (name,)).fetchone()
    return StoredOrganization(**row)


def all_of(connection: sqlite3.Connection) -> list[StoredOrganization]:
    return [StoredOrganization(**row) for row in connection.execute("SELECT * FROM organizations ORDER BY id")]


def add_team(connection: sqlite3.Connection, name: str, organization_id: int | None = None) -> StoredTeam:
    """Create a team.

    Raises:
        UsageError: if it exists.
    """
    if find_team(connection, name):
        msg = f"team {name!r} exists already: use another name"
        raise UsageError(msg)
    connection.execute("INSERT INTO teams (name, organization_id) VALUES (?, ?)", (name, organization_id))
    team = find_team(connection, name)
    assert team is not None
    return team


def all_teams(connection: sqlite3.Connection) -> list[StoredTeam]:
    return [StoredTeam(**row) for row in connection.execute("SELECT * FROM teams ORDER BY id")]


def find_team(connection: sqlite3.Connection, name: str) -> StoredTeam | None:
    row = connection.execute("SELECT * FROM teams WHERE name = ?", (name,)).fetchone()
    return StoredTeam(**row) if row else None


def find_team_by_id(connection: sqlite3.Connection, team_id: int) -> StoredTeam | None:
    row = connection.execute("SELECT * FROM teams WHERE id = ?", (team_id,)).fetchone()
    return StoredTeam(**row) if row else None


def members(connection: sqlite3.Connection, project_id: int) -> list[TeamMember]:
    rows = connection.execute(
        "SELECT teams.*, role FROM project_teams JOIN teams ON teams.id = team_id "
        "WHERE project_id = ? ORDER BY teams.id",
        (project_id,),
    )
    return [TeamMember(StoredTeam(row["id"], row["name"], row["organization_id"]), row["role"]) for row in rows]


def set_member(connection: sqlite3.Connection, project_id: int, team_id: int, role: str | None) -> None:
    """Give a team a role in a registry; without a role, it becomes a member unless it has one."""
    connection.execute(
        "INSERT INTO project_teams VALUES (:project, :team, COALESCE(:role, :default)) "
        "ON CONFLICT DO UPDATE SET role = COALESCE(:role, role)",
        {"project": project_id, "team": team_id, "role": role, "default": DEFAULT_ROLE},
    )


def remove_member(connection: sqlite3.Connection, project_id: int, team_id: int) -> None:
    connection.execute("DELETE FROM project_teams WHERE project_id = ? AND team_id = ?", (project_id, team_id))
