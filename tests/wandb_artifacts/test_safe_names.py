"""Names from the server as safe paths."""

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wandb_artifacts._destination.safe_names import SafeFolders, safe_path, safe_paths

RESERVED = frozenset({"manifest.json", "summary.json"})
DEVICES = ["CON", "prn", "Aux", "NUL", "COM1", "lpt9", "COM¹", "CONOUT$"]

nasty = st.sampled_from(
    [
        *'/\\.:% ~*?"<>|\0\n\x7f\x85\ud800\udfffaAeEéß\u017f\u212a\u0301\u200c\u2028',
        *DEVICES,
        *("..", "%2e", "%2F", "%~", "//", "manifest.json", ".wandb-artifacts", "x" * 254, "ü" * 130),
    ]
)
names = st.lists(st.one_of(nasty, st.text(st.characters(), max_size=3)), max_size=12).map("".join)
ordinary = st.lists(
    st.text("abcXYZ019_-+=@#&()[]{}!,;' äß名", min_size=1, max_size=20).filter(lambda part: part == part.rstrip()),
    min_size=1,
    max_size=5,
).map("/".join)


def folded(path: str) -> str:
    """Return the path as a file system compares it that ignores case and normal forms."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def assert_safe(path: str) -> None:
    assert len(path.encode("utf-8")) <= 700
    assert not re.search(r'[\x00-\x1f\x7f-\x9f\\:*?"<>|]', path)
    assert not PurePosixPath(path).is_absolute()
    assert not PureWindowsPath(path).drive
    parts = path.split("/")
    assert parts[0].casefold() != ".wandb-artifacts"
    for part in parts:
        assert part not in ("", ".", "..")
        assert part == part.rstrip(". ")
        assert len(part.encode()) <= 255
        assert not re.match(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", part)


@given(names)
@example("")
@example("/".join("a" * 1000))
@example("con .txt")
def test_safe_path_stays_inside_its_folder(name: str) -> None:
    """The path is a valid file name on any system."""
    assert_safe(safe_path(name))


@given(names, names)
@example("%", "%25")
@example("", "%~")
@example("\0", "%00")
@example("a//b", "a/%~/b")
@example("%2", "%\x32")
@example("con", "%63on")
def test_different_names_have_different_paths(one: str, other: str) -> None:
    assert (safe_path(one) == safe_path(other)) is (one == other)


@given(ordinary)
@example("media/images/step 1.png")
@example("100%.txt")
@example(".hidden/file.tar.gz")
@example("config.yaml")
@example("console.log")
@example("wandb-metadata.json")
def test_ordinary_names_do_not_change(name: str) -> None:
    assert safe_path(name) == name
    assert safe_paths([name, "another/file"])[name] == name


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("/etc/passwd", "%~/etc/passwd"),
        ("C:\\x", "C%3A%5Cx"),
        ("a/./b", "a/%2E/b"),
        ("nul.tar.gz", "%6Eul.tar.gz"),
        ("a. .", "a%2E%20%2E"),
        ("50%25", "50%2525"),
        ("half \ud800", "half %ED%A0%80"),
        (".wandb-artifacts/lock", "%2Ewandb-artifacts/lock"),
        (".WANDB-Artifacts", "%2EWANDB-Artifacts"),
        (".wandb-artifact\u017f", "%2Ewandb-artifact\u017f"),
        ("bell\a", "bell%07"),
    ],
)
def test_special_characters_are_encoded(name: str, path: str) -> None:
    """The encoding is stable: a later version finds the files of an earlier one."""
    assert safe_path(name) == path


def test_long_names_are_truncated() -> None:
    """They keep their extension, and differ where the names differ."""
    one, other = safe_path("x" * 300 + "1.pt"), safe_path("x" * 300 + "2.pt")
    assert one != other
    assert one.endswith(".pt")
    assert len(one) == 255
    deep = safe_path("folder/" * 200 + "model.pt")
    assert deep.startswith("folder/folder/")
    assert deep.endswith(".pt")
    assert safe_path("ü" * 200).startswith("üüü")


sets = st.lists(names | ordinary | st.sampled_from(["a", "A", "a/b", "A/b", "a/B/c", "é", "e\u0301"]), max_size=12)


@given(sets)
@example(["a", "a/b", "A", "A/b"])
@example(["a/x", "A/y", "a"])
@example(["summary.json", "SUMMARY.JSON", "summary.json/x", "x/summary.json"])
@example(["straße", "STRASSE", "strasse"])
def test_names_have_separate_files_in_one_folder(names: list[str]) -> None:
    """A file never has the name of a folder or of a reserved file."""
    paths = safe_paths(names, reserved=RESERVED)

    assert set(paths) == set(names)
    files = {folded(path) for path in paths.values()}
    assert len(files) == len(paths)
    folders = {folded(str(parent)) for path in paths.values() for parent in PurePosixPath(path).parents}
    assert not files & folders
    assert not (files | folders) & {folded(name) for name in RESERVED}
    for path in paths.values():
        assert_safe(path)


@given(st.data(), sets)
def test_paths_do_not_depend_on_the_order(data: st.DataObject, names: list[str]) -> None:
    shuffled = data.draw(st.permutations(names))

    assert safe_paths(names, reserved=RESERVED) == safe_paths(shuffled, reserved=RESERVED)


@given(sets, ordinary)
def test_path_depends_only_on_colliding_names(names: list[str], name: str) -> None:
    top = name.split("/", maxsplit=1)[0]
    others = [other for other in names if folded(other.split("/")[0]) != folded(top)]

    assert safe_paths([*others, name])[name] == safe_path(name) == name


def test_colliding_names_get_a_suffix() -> None:
    """The suffix is before the extension."""
    paths = safe_paths(["a", "a/b", "Log.txt", "log.txt", "x/log.txt", "summary.json", "media/x"], reserved=RESERVED)

    assert {name for name, path in paths.items() if path != name} == {"a", "Log.txt", "log.txt", "summary.json"}
    assert re.fullmatch(r"summary%~[0-9a-f]{32}\.json", paths["summary.json"])
    assert re.fullmatch(r"Log%~[0-9a-f]{32}\.txt", paths["Log.txt"])
    assert re.fullmatch(r"a%~[0-9a-f]{32}", paths["a"])
    assert paths["log.txt"] == safe_paths(["log.txt", "LOG.TXT"])["log.txt"]


@pytest.mark.parametrize("other", ["a\u200cb", "\ufeffab", "AB", "aB"])
def test_names_equal_on_some_file_system_get_suffixes(other: str) -> None:
    """HFS+ ignores some characters."""
    paths = safe_paths(["ab", other])

    assert all("%~" in path for path in paths.values())


def test_suffixes_in_every_folder_stay_short() -> None:
    deep = "a/" * 300
    paths = safe_paths([deep + "x", deep.upper() + "x", deep + "X"])

    assert len({folded(path) for path in paths.values()}) == 3
    for path in paths.values():
        assert_safe(path)


@given(st.lists(names.map(lambda name: name.replace("/", "")).filter(bool), max_size=8, unique=True))
@example(["CON\xa0"])
def test_folders_that_arrive_one_by_one_are_safe_and_distinct(given: list[str]) -> None:
    """No two are the same on any file system, none is reserved; with those folders known, each keeps its own."""
    found = {name: SafeFolders.folder(folders, name) for folders in [SafeFolders(reserved=RESERVED)] for name in given}

    for folder in found.values():
        assert_safe(folder)
        assert "/" not in folder
    assert len({folded(folder) for folder in [*found.values(), *RESERVED]}) == len(given) + len(RESERVED)
    for name, folder in reversed(found.items()):
        assert SafeFolders(found.values(), reserved=RESERVED).folder(name) == folder


def test_first_of_colliding_folders_is_unchanged() -> None:
    folders = SafeFolders()

    assert [folders.folder(name) == name for name in ("Abc", "abc", "other", "Abc")] == [True, False, True, True]
