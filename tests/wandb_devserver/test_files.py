"""Uploads and downloads of a run's files."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
from wandb_devserver import DevServer

from tests.support import loopback
from tests.wandb_devserver.support import RawClient, Scripts

if TYPE_CHECKING:
    from pathlib import Path

CREATE = """mutation CreateRunFiles($input: CreateRunFilesInput!) {
  createRunFiles(input: $input) { runID uploadHeaders files { name uploadUrl } } }"""


def upload_url(raw: RawClient, name: str) -> str:
    fields = {"entityName": "local", "projectName": "p", "runName": "r", "files": [name]}
    url = raw.data(CREATE, input=fields)["createRunFiles"]["files"][0]["uploadUrl"]
    assert isinstance(url, str)
    return url


def test_run_uploads_its_files(server: DevServer, scripts: Scripts, tmp_path: Path) -> None:
    """Files that the SDK writes itself, saved files under odd names, and media."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ünï code %20.txt").write_text("odd")
    scripts.run(
        """
with wandb.init(project="p", id="r") as run:
    print("something")
    run.save("sub/*", base_path=".")
    run.log({"page": wandb.Html("<b>x</b>")})
""",
        WANDB_X_SAVE_REQUIREMENTS="true",
    )
    files = server.run("local/p/r").files

    # Not wandb-metadata.json, which the SDK collects on a best-effort basis: a short run may lack it.
    assert {"requirements.txt", "config.yaml", "wandb-summary.json", "output.log"} <= set(files)
    assert files["sub/ünï code %20.txt"].read_bytes() == b"odd"
    assert any(name.startswith("media/html/") for name in files)
    odd = files["sub/ünï code %20.txt"]
    assert (odd.size, odd.md5) == (3, base64.b64encode(hashlib.md5(b"odd").digest()).decode())


def test_files_are_listed_paged_and_downloaded(scripts: Scripts, tmp_path: Path) -> None:
    """Names, patterns, pages, sizes, MD5 and contents by the public API; odd names included."""
    for number in range(7):
        (tmp_path / f"part {number}.bin").write_bytes(bytes([number]) * 1000)
    seen = scripts.run("""
with wandb.init(project="p", id="r") as run:
    run.save("part *.bin", base_path=".")
run = wandb.Api().run("local/p/r")
files = {file.name: file for file in run.files(per_page=2)}
with files["part 3.bin"].download(root="down") as stream:
    content = stream.buffer.read()
report({
    "found": sorted(name for name in files if name.startswith("part")),
    "pattern": sorted(file.name for file in run.files(pattern="part%")),
    "names": [file.name for file in run.files(names=["part 1.bin"])],
    "count": [len(run.files()), len(files)],
    "size": files["part 3.bin"].size,
    "md5": files["part 3.bin"].md5,
    "content": content == bytes([3]) * 1000,
    "mimetype": files["wandb-summary.json"].mimetype,
})
""")
    parts = [f"part {number}.bin" for number in range(7)]

    assert seen["found"] == seen["pattern"] == parts
    assert seen["names"] == ["part 1.bin"]
    assert seen["count"][0] == seen["count"][1]
    assert seen["size"] == 1000
    assert seen["md5"] == base64.b64encode(hashlib.md5(bytes([3]) * 1000).digest()).decode()
    assert (seen["content"], seen["mimetype"]) == (True, "application/json")


def test_public_api_uploads_and_deletes_a_file(server: DevServer, scripts: Scripts, tmp_path: Path) -> None:
    """The run stays finished."""
    (tmp_path / "late.txt").write_text("late")
    seen = scripts.run("""
wandb.init(project="p", id="r").finish()
run = wandb.Api().run("local/p/r")
file = run.upload_file("late.txt")
report([file.name, file.size])
""")
    assert seen == ["late.txt", 4]
    assert server.run("local/p/r").files["late.txt"].read_bytes() == b"late"
    path = server.run("local/p/r").files["late.txt"].path
    scripts.run("wandb.Api().run('local/p/r').file('late.txt').delete()")

    assert "late.txt" not in server.run("local/p/r").files
    assert not path.exists()
    assert server.run("local/p/r").state == "finished"


def test_second_upload_replaces_the_file(raw: RawClient, server: DevServer) -> None:
    """The old contents are removed from the disk."""
    raw.open_run("r")
    url = upload_url(raw, "a.txt")
    loopback.put(url, content=b"first")
    old = server.run("local/p/r").files["a.txt"].path
    loopback.put(url, content=b"second one")
    file = server.run("local/p/r").files["a.txt"]

    assert (file.read_bytes(), file.size) == (b"second one", 10)
    assert not old.exists()


def test_upload_needs_a_signed_url(raw: RawClient) -> None:
    """It needs no API key; a changed URL is refused."""
    raw.open_run("r")
    url = upload_url(raw, "a.txt")

    assert loopback.put(url, content=b"x").status_code == 200
    assert loopback.put(url[:-1] + ("0" if url[-1] != "0" else "1"), content=b"x").status_code == 403
    assert loopback.put(url.rpartition("/")[0] + "/nonsense", content=b"x").status_code == 403
    assert loopback.get(url).status_code == 404


def test_interrupted_upload_leaves_nothing(raw: RawClient, server: DevServer) -> None:
    """A body that ends early does not become a file, and its bytes are removed."""
    raw.open_run("r")
    url = httpx.URL(upload_url(raw, "a.txt"))

    def half() -> object:
        yield b"half"
        msg = "gone"
        raise ConnectionError(msg)

    with pytest.raises(ConnectionError):
        loopback.put(url, content=half(), headers={"Content-Length": "8"})  # type: ignore[arg-type]
    loopback.put(upload_url(raw, "b.txt"), content=b"whole")

    assert set(server.run("local/p/r").files) == {"b.txt"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "..\\x", "", "a/..", "\\x"])
def test_path_traversal_is_refused(raw: RawClient, name: str) -> None:
    """A client that downloads such a file would write outside of its folder."""
    raw.open_run("r")
    fields = {"entityName": "local", "projectName": "p", "runName": "r", "files": [name]}
    response = raw.graphql(CREATE, input=fields).json()

    assert "cannot be the name of a file" in response["errors"][0]["message"]


@pytest.mark.parametrize(
    "name", ["a b.txt", "100%.txt", "ü/ö.txt", "#?.txt", "a+b&c.txt", "...", "%2e%2e/x", "a\nb.txt", "a/b\n"]
)
def test_special_characters_in_names_are_preserved(raw: RawClient, server: DevServer, name: str) -> None:
    """Percent-encoding in links is decoded exactly once."""
    raw.open_run("r")
    loopback.put(upload_url(raw, name), content=name.encode())
    query = 'query Q { project(name: "p") { run(name: "r") { files(first: 9) { edges { node { name url } } } } } }'
    (edge,) = raw.data(query)["project"]["run"]["files"]["edges"]

    assert edge["node"]["name"] == name
    assert raw.http.get(edge["node"]["url"]).content == name.encode()
    assert server.run("local/p/r").files[name].read_bytes() == name.encode()


def test_download_serves_ranges_in_a_sandbox(raw: RawClient) -> None:
    """A page that a run logged cannot act for its reader."""
    raw.open_run("r")
    loopback.put(upload_url(raw, "page.html"), content=b"<script>alert(1)</script>")
    response = raw.http.get("/files/local/p/r/page.html", headers={"Range": "bytes=0-6"})

    assert (response.status_code, response.content) == (206, b"<script")
    assert response.headers["content-security-policy"] == "sandbox"
    assert raw.http.get("/files/local/p/r/" + quote("../page.html", safe="")).status_code == 404


def test_missing_file_has_the_md5_0(scripts: Scripts) -> None:
    """`wandb.restore` recognizes a missing file by this value."""
    seen = scripts.run("""
wandb.init(project="p", id="r").finish()
api = wandb.Api()
try:
    wandb.restore("nope", "local/p/r")
except ValueError as error:
    report([api.run("local/p/r").file("nope").md5, str(error)])
""")

    assert seen == ["0", "File nope not found in local/p/r."]
