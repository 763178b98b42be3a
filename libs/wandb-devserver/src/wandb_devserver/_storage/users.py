"""Tables of users beside the owner of the server, their roles in registries, and the owner's default entity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._errors import UsageError

if TYPE_CHECKING:
    import sqlite3

DEFAULT_ROLE = "member"


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user that can be a member of registries, but cannot sign in."""

    id: int
    name: str
    email: str
    admin: bool


def add(connection: sqlite3.Connection, name: str, email: str, *, admin: bool = False) -> StoredUser:
    """Create a user.

    Raises:
        UsageError: if the name or the email is taken.
    """
    query = "INSERT INTO users (name, email, admin) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING *"
    row = connection.execute(query, (name, email, admin)).fetchone()
    if row is None:
        msg = f"user {name!r} or email {email!r} exists already: use another one"
        raise UsageError(msg)
    return _user(row)


def all_of(connection: sqlite3.Connection) -> list[StoredUser]:
    return [_user(row) for row in connection.execute("SELECT * FROM users ORDER BY id")]


def find(connection: sqlite3.Connection, name: str) -> StoredUser | None:
    row = connection.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
    return _user(row) if row else None


def find_by_id(connection: sqlite3.Connection, user_id: int) -> StoredUser | None:
    row = connection.execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone()
    return _user(row) if row else None


def members(connection: sqlite3.Connection, project_id: int) -> list[tuple[StoredUser, str]]:
    """Return the users of a registry, each with its role there."""
    rows = connection.execute(
        "SELECT users.*, role FROM project_users JOIN users ON users.id = user_id WHERE project_id = ? ORDER BY id",
        (project_id,),
    )
    return [(_user(row), row["role"]) for row in rows]


def set_member(connection: sqlite3.Connection, project_id: int, user_id: int, role: str | None) -> None:
    """Give a user a role in a registry; without a role, it becomes a member unless it has one."""
    connection.execute(
        "INSERT INTO project_users VALUES (:project, :user, COALESCE(:role, :default)) "
        "ON CONFLICT DO UPDATE SET role = COALESCE(:role, role)",
        {"project": project_id, "user": user_id, "role": role, "default": DEFAULT_ROLE},
    )


def remove_member(connection: sqlite3.Connection, project_id: int, user_id: int) -> None:
    connection.execute("DELETE FROM project_users WHERE project_id = ? AND user_id = ?", (project_id, user_id))


def default_entity(connection: sqlite3.Connection) -> str | None:
    """Return the entity that the owner of the server chose for requests that name none."""
    row = connection.execute("SELECT value FROM owner_settings WHERE name = 'default_entity'").fetchone()
    return row["value"] if row else None


def set_default_entity(connection: sqlite3.Connection, entity: str) -> None:
    connection.execute("INSERT OR REPLACE INTO owner_settings VALUES ('default_entity', ?)", (entity,))


def _user(row: sqlite3.Row) -> StoredUser:
    return StoredUser(row["id"], row["name"], row["email"], bool(row["admin"]))
