"""Configuration objects: carrying, validating and merging fields."""

import copy
import pickle
from typing import Any

import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st
from wandb_artifacts import InvalidValueError
from wandb_runtime import WandbConfig, get_wandb_context, wandb_config, wandb_init

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text().map("k".__add__), inner, max_size=3),
    max_leaves=8,
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(
    name=names,
    tags=st.lists(names, max_size=3),
    config=st.dictionaries(names.map("key ".__add__), json_values, max_size=3),
    download_logs=st.booleans(),
    finish_timeout=st.floats(min_value=0.1, max_value=1e6) | st.integers(1, 1000),
)
def test_fields_round_trip(
    name: str, tags: list[str], config: dict[str, Any], download_logs: bool, finish_timeout: float
) -> None:
    """Every field reads back equal and of the same type, also from a plain dictionary, a copy and a pickle."""
    written = wandb_config(
        name=name, tags=tags, config=config, download_logs=download_logs, finish_timeout=finish_timeout
    )

    for read in (
        written,
        WandbConfig.from_context(dict(written)),
        WandbConfig.from_context({**written, "wandb_newer": "x", "wandb_sweep_name": "y", "mine": "z"}),
        copy.copy(written),
        copy.deepcopy(written),
        pickle.loads(pickle.dumps(written)),
    ):
        assert type(read) is WandbConfig
        assert (read.name, read.tags, read.config) == (name, tags, config)
        assert (read.download_logs, read.finish_timeout) == (download_logs, finish_timeout)
        assert type(read.finish_timeout) is type(finish_timeout)
        assert read == written


def test_strings_are_carried_verbatim_and_other_fields_as_json() -> None:
    """Other tools may rely on the keys: `wandb_<field>`, only for given fields."""
    configuration = wandb_config(project="123", tags=["a"], config={"lr": 0.1}, download_logs=True)

    assert dict(configuration) == {
        "wandb_project": "123",
        "wandb_tags": '["a"]',
        "wandb_config": '{"lr": 0.1}',
        "wandb_download_logs": "true",
    }
    assert configuration.project == "123"
    assert configuration.entity is None
    assert repr(configuration).startswith("wandb_config(project='123', tags=['a']")
    assert not wandb_config()


def test_settings_object_carries_only_fields_that_were_set() -> None:
    """Fields of `wandb.Settings` that the SDK derives are not carried."""
    assert wandb_config(settings=wandb.Settings(init_timeout=5)).settings == {"init_timeout": 5}
    assert wandb_config(settings={"console": "off"}).settings == {"console": "off"}


def test_context_outside_a_task_is_empty() -> None:
    """Attributes can be read outside a task without a guard."""
    assert get_wandb_context() == {}
    assert get_wandb_context().project is None


@pytest.mark.parametrize("change", ["clear", "popitem", "copy"])
def test_configuration_is_immutable(change: str) -> None:
    """Two tasks may share the same object."""
    configuration = wandb_config(project="p")

    if change == "copy":
        assert configuration.copy() is configuration
    else:
        with pytest.raises(TypeError, match="is immutable"):
            getattr(configuration, change)()
    with pytest.raises(TypeError, match="is immutable"):
        configuration["wandb_project"] = "q"
    with pytest.raises(TypeError, match="is immutable"):
        configuration |= {"wandb_project": "q"}
    with pytest.raises(TypeError, match="is immutable"):
        setattr(configuration, "project", "q")  # noqa: B010
    assert configuration.project == "p"


def test_nearer_configuration_overrides_outer_one() -> None:
    """`config` merges key by key, `tags` add up, everything else is replaced; other fields stay."""
    outer = wandb_config(project="p", group="g", tags=["a", "b"], config={"x": 1, "y": {"deep": 1}})
    nearer = wandb_config(group="h", tags=["b", "c"], config={"y": {"other": 2}})
    merged = outer.merged(nearer)

    assert (merged.project, merged.group) == ("p", "h")
    assert merged.tags == ["a", "b", "c"]
    assert merged.config == {"x": 1, "y": {"other": 2}}
    assert outer.tags == ["a", "b"]


class Opaque:
    """An object without a string representation."""


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"run_mode": "sometimes"}, "run_mode='sometimes'", "must be one of 'auto', 'new', 'shared'"),
    ({"rank_scope": "node"}, "rank_scope='node'", "'global', 'worker'"),
    ({"on_unavailable": "ignore"}, "on_unavailable='ignore'", "'raise', 'offline'"),
    ({"mode": "dryrun"}, "mode='dryrun'", "'online', 'offline', 'disabled', 'shared'"),
    ({"reinit": True}, "reinit=True", "'create_new'"),
    ({"resume": 1}, "resume=1", "must be one of True"),
    ({"id": "a/b"}, "id='a/b'", "replace it"),
    ({"id": ""}, "id=''", "must not be empty"),
    ({"id": " a"}, "id=' a'", "white space"),
    ({"id": "x" * 129}, "id=", "has 129 characters"),
    ({"project": "a:b"}, "project='a:b'", "replace it"),
    ({"project": "p" * 129}, "project=", "shorten it"),
    ({"project": 3}, "project=3", "must be a string, not int"),
    ({"entity": "a/b"}, "entity='a/b'", "replace it"),
    ({"host": "wandb.example.com"}, "host='wandb.example.com'", "https://"),
    ({"tags": "abc"}, "tags='abc'", "list of strings"),
    ({"tags": ["ok", ""]}, "tags[1]=''", "1 to 64"),
    ({"tags": ["x" * 65]}, "tags[0]=", "this one has 65"),
    ({"tags": [3]}, "tags[0]=3", "must be a string"),
    ({"config": ["lr"]}, "config", "must be a dictionary, not list"),
    ({"config": {"a": {"b": Opaque()}}}, "config['a']['b']", "only a description of this Opaque"),
    ({"config": {"a": [1, Opaque()]}}, "config['a'][1]", "only a description of this Opaque"),
    ({"config": {1: 2}}, "config=1", "keys must be strings"),
    ({"download_logs": "yes"}, "download_logs='yes'", "True or False"),
    ({"flyte_metadata": 1}, "flyte_metadata=1", "True or False"),
    ({"report": "loss"}, "report='loss'", "list of metrics"),
    ({"log_inputs": ["lr"]}, "log_inputs=['lr']", "True or False"),
    ({"finish_timeout": 0}, "finish_timeout=0", "above 0"),
    ({"finish_timeout": float("inf")}, "finish_timeout=inf", "above 0"),
    ({"finish_timeout": True}, "finish_timeout=True", "above 0"),
    ({"proyect": "p"}, "proyect='p'", "did you mean project?"),
    ({"zzz": 1}, "zzz=1", "the parameters are"),
]


@pytest.mark.parametrize("maker", [wandb_config, wandb_init])
@pytest.mark.parametrize(("arguments", "what", "remedy"), REFUSED, ids=lambda value: str(value)[:40])
def test_invalid_value_is_refused(maker: Any, arguments: dict[str, Any], what: str, remedy: str) -> None:
    """When the configuration or decorator is created, with field, value and remedy."""
    with pytest.raises(InvalidValueError) as caught:
        maker(**arguments)

    assert what in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("context", "what"),
    [
        ({"wandb_run_mode": "sometimes"}, "wandb_run_mode='sometimes'"),
        ({"wandb_tags": "not json"}, "wandb_tags='not json'"),
        ({"wandb_tags": '"text"'}, "wandb_tags='text'"),
    ],
)
def test_plain_dictionary_is_validated_when_read(context: dict[str, str], what: str) -> None:
    """It may be merged below or above a validated configuration."""
    configuration, checked = WandbConfig.from_context(context), wandb_config(name="n")

    for merged in (configuration, checked.merged(configuration), configuration.merged(checked)):
        with pytest.raises(InvalidValueError) as caught:
            _ = merged.run_mode or merged.tags

        assert what in str(caught.value)


def test_changing_a_read_value_does_not_change_the_configuration() -> None:
    """Each read returns a copy."""
    configuration = wandb_config(config={"layers": [1]}).merged(wandb_config(tags=["a"]))
    for _ in range(2):
        assert configuration.config
        assert configuration.tags
        configuration.config["layers"].append(2)
        configuration.tags.append("b")

    assert (configuration.config, configuration.tags) == ({"layers": [1]}, ["a"])


SECRET = "s3cr3t-value"


@pytest.mark.parametrize(
    "arguments",
    [
        *[
            {"config": {name: SECRET}}
            for name in ("api_key", "API_KEY", "password", "access_token", "token", "client_secret")
        ],
        {"config": {"deep": {"password": SECRET}}},
        {"config": {"harmless": "k" * 40}},
        {"settings": {"api_key": SECRET}},
        {"settings": wandb.Settings(api_key="k" * 40)},
        {"host": f"https://me:{SECRET}@wandb.example.com"},
        {"settings": {"http_proxy": f"http://me:{SECRET}@proxy:3128"}},
        {"settings": wandb.Settings(https_proxy=f"http://me:{SECRET}@proxy:3128")},
        {"settings": {"x_extra_http_headers": {"Authorization": f"Bearer {SECRET}"}}},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_credential_is_refused(arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recognized by its name, or because it is the W&B key; the message does not repeat it."""
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)

    with pytest.raises(InvalidValueError) as caught:
        wandb_config(**arguments)

    assert SECRET not in str(caught.value)
    assert "k" * 40 not in str(caught.value)
    assert SECRET not in repr(caught.value.args)


def test_connection_settings_without_credentials_are_accepted() -> None:
    """A proxy or a header alone is not a secret."""
    settings = {"http_proxy": "http://proxy:3128", "x_extra_http_headers": {"X-Team": "research"}}

    assert wandb_config(settings=settings).settings == settings


@pytest.mark.parametrize("name", ["tokenizer", "max_tokens", "token_count", "pad_token", "secretary", "api_key_name"])
def test_name_that_contains_a_credential_word_is_accepted(name: str) -> None:
    """`max_tokens` and similar names are common in configs."""
    assert wandb_config(config={name: "bert"}).config == {name: "bert"}


def test_credential_name_without_a_string_is_accepted() -> None:
    """Only a string can be a secret."""
    assert wandb_config(config={"token": 3, "password": ""}).config == {"token": 3, "password": ""}


def test_with_block_outside_a_task_warns() -> None:
    """It has no effect there."""
    with pytest.warns(UserWarning, match=r"no effect outside a task.*with_runcontext"), wandb_config(project="p"):
        pass
