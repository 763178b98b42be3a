"""Users, their default entities, and their roles in registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.wandb_devserver.support import RawClient, Scripts

SET_DEFAULT_ENTITY = """
mutation SetDefaultEntity($entity: String!) { updateUser(input: {defaultEntity: $entity}) { user { id } } }
"""


def test_runs_without_an_entity_go_to_the_default_entity(raw: RawClient, scripts: Scripts) -> None:
    raw.data('mutation M { createTeam(input: {teamName: "readers"}) { entity { name } } }')
    raw.data(SET_DEFAULT_ENTITY, entity="readers")

    entities = scripts.run("""
with wandb.init(project="p") as run:
    pass
report([run.entity, wandb.Api().default_entity])
""")

    assert entities == ["readers", "readers"]
    assert raw.data("query V { viewer { username entity } }")["viewer"] == {"username": "local", "entity": "readers"}


def test_default_entity_is_one_of_the_user(raw: RawClient) -> None:
    response = raw.graphql(SET_DEFAULT_ENTITY, entity="others").json()

    assert "invalid default entity 'others': use one of local" in response["errors"][0]["message"]


def test_viewer_is_in_the_teams_of_the_server(raw: RawClient) -> None:
    raw.data('mutation M { createTeam(input: {teamName: "readers"}) { entity { name } } }')

    teams = raw.data("query V { viewer { teams { edges { node { name } } } } }")["viewer"]["teams"]["edges"]

    assert [edge["node"]["name"] for edge in teams] == ["local", "readers"]


def test_owner_is_an_ordinary_user(scripts: Scripts) -> None:
    """The name of an API key is its beginning; the only member of a personal entity has the type of a user."""
    seen = scripts.run("""
api = wandb.Api()
viewer = api.viewer
(name,) = viewer.api_keys
types = [api.team("local").members[0].account_type, api.create_team("readers").members[0].account_type]
report([viewer.admin, os.environ["WANDB_API_KEY"].startswith(name), len(name), types])
""")

    assert seen == [False, True, 5, ["USER", "MEMBER"]]


def test_users_are_found_by_a_part_of_name_or_email(scripts: Scripts) -> None:
    found = scripts.run("""
api = wandb.Api()
for email in ("ann@example.com", "anna@example.com"):
    api.create_user(email)
report([[user.username for user in api.users(query)] for query in ("ann", "anna@", "example.com", "local", "nobody")])
""")

    assert found == [["ann", "anna"], ["anna"], ["ann", "anna"], ["local"], []]


def test_users_become_members_of_a_registry_with_a_role(scripts: Scripts) -> None:
    seen = scripts.run("""
api = wandb.Api()
registry = api.create_registry("models", visibility="organization")
for email in ("ann@example.com", "bob@example.com"):
    api.create_user(email)
ann, bob = api.user("ann"), api.user("bob")
def roles():
    return {member.user.username: member.role for member in registry.user_members()}
registry.add_members(ann, bob).update_member(bob, role="viewer")
seen = [roles()]
registry.remove_members(ann)
seen.append(roles())
report(seen)
""")

    assert seen == [{"local": "admin", "ann": "member", "bob": "viewer"}, {"local": "admin", "bob": "viewer"}]


def test_owner_stays_the_administrator_of_registries(scripts: Scripts) -> None:
    failures = scripts.run("""
api = wandb.Api()
registry = api.create_registry("models", visibility="organization")
owner, failures = api.user("local"), []
for change in (lambda: registry.remove_members(owner), lambda: registry.update_member(owner, role="viewer")):
    try:
        change()
    except Exception as error:
        failures.append(str(error))
report(failures)
""")

    assert len(failures) == 2
    assert all("the owner of the server" in failure for failure in failures)


def test_taken_email_is_refused(raw: RawClient) -> None:
    mutation = 'mutation M { createUser(input: {email: "ann@example.com"}) { user { username } } }'

    assert raw.data(mutation)["createUser"]["user"]["username"] == "ann"
    assert "exists already" in raw.graphql(mutation).json()["errors"][0]["message"]
