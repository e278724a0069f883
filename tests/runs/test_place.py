"""What every place of blobs does, a folder's as a bucket's, and what is said of places that cannot be used."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import pytest

from hplaw.errors import DataError, HplawError, StoreError
from hplaw.runs import Store
from hplaw.runs.folder import Folder
from hplaw.runs.place import AbstractPlace, at_once
from hplaw.runs.store import open_place


@pytest.fixture
def place(root: str) -> AbstractPlace:
    return open_place(f"{root}/some/runs")


def test_an_address_opens_the_same_place_again(place: AbstractPlace, root: str) -> None:
    assert place.address == f"{root}/some/runs"
    place.write("a", b"1")
    assert open_place(place.address).read("a") == b"1"
    assert place.label("a") == f"{root}/some/runs/a"


def test_nothing_is_in_a_place_that_was_never_written_to(place: AbstractPlace) -> None:
    assert not place.exists()
    assert place.names() == place.names(".notes") == place.names(start="a") == []
    place.delete("a")
    assert not place.exists()
    place.write(".notes/a", b"")
    assert place.exists()


def test_names_are_sorted_by_folder_and_by_how_they_begin(place: AbstractPlace) -> None:
    for name in ("b-1", "a-2", "a-1", "ab-1", "a", ".notes/a-1.json", ".notes/b", "z/y", "a-1.5/y"):
        place.write(name, name.encode())
    assert place.names() == ["a", "a-1", "a-2", "ab-1", "b-1"]
    assert place.names(start="a-") == ["a-1", "a-2"]
    assert place.names(start="c") == []
    assert place.names(".notes") == ["a-1.json", "b"]
    assert place.names(".notes", start="b") == ["b"]
    assert place.read(".notes/a-1.json") == b".notes/a-1.json"


@pytest.mark.slow
def test_more_blobs_than_a_page_are_all_listed(place: AbstractPlace) -> None:
    # S3 lists 1000 objects at a time
    names = [f"a-{number:04d}" for number in range(1100)]
    list(at_once(lambda name: place.write(name, b""), names))
    assert place.names() == names
    assert place.names(start="a-") == names


def test_a_blob_is_created_once_and_replaced_when_told(place: AbstractPlace) -> None:
    assert place.create("a", b"first")
    assert not place.create("a", b"second")
    assert place.read("a") == b"first"
    place.write("a", b"third")
    assert place.read("a") == b"third"
    assert place.leftovers() == []


def test_of_several_that_create_a_blob_at_once_one_does(place: AbstractPlace) -> None:
    bodies = [bytes([number]) * 1000 for number in range(16)]
    made = list(at_once(lambda body: place.create("a", body), bodies))
    assert made.count(True) == 1
    assert place.read("a") == bodies[made.index(True)]
    assert place.names() == ["a"]
    assert place.leftovers() == []


def test_what_is_removed_is_gone(place: AbstractPlace) -> None:
    place.write("a", b"1")
    place.write("b", b"2")
    place.delete("a")
    place.delete("a")
    assert place.names() == ["b"]
    found = place.read("a")
    assert isinstance(found, str)
    assert "cannot be read" in found


def test_half_written_files_are_told_by_their_age(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.write("a", b"1")
    place.write(".notes/a", b"1")
    old, new = tmp_path / ".a.7.ab.part", tmp_path / ".notes" / ".a.7.cd.part"
    old.write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (time.time() - 100,) * 2)
    assert place.leftovers() == [".a.7.ab.part", ".notes/.a.7.cd.part"]
    assert place.leftovers(older_s=50) == [".a.7.ab.part"]
    assert place.names() == place.names(".notes") == ["a"]


def test_a_file_system_without_links_creates_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    place = Folder(tmp_path)
    assert place.create("a", b"1")
    assert not place.create("a", b"2")
    assert place.read("a") == b"1"


def test_a_file_is_no_folder_of_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="give a folder of runs"):
        Folder(tmp_path / "file").names()


# Google's and Azure's stores


class Objects(BaseHTTPRequestHandler):
    """Keeps objects as those stores do, as far as they are put and read: no others were to be had for tests."""

    kept: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        path, body = unquote(self.path.partition("?")[0]), self.rfile.read(int(self.headers["content-length"]))
        creates = self.headers.get("x-goog-if-generation-match") == "0" or self.headers.get("if-none-match") == "*"
        if creates and path in self.kept:
            self.answer(412 if "x-goog-if-generation-match" in self.headers else 409)
        else:
            self.kept[path] = body
            self.answer(201)

    def do_GET(self) -> None:
        body = self.kept.get(unquote(self.path.partition("?")[0]))
        self.answer(404 if body is None else 200, body or b"")

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        headers = {"ETag": '"1"', "x-goog-generation": "1", "Last-Modified": "Mon, 02 Jan 2023 03:04:05 GMT"}
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Write no line for each request."""


@pytest.fixture(params=["gs", "az"])
def other(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AbstractPlace]:
    """Return a place in a store of another kind than S3."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Objects)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    settings = {
        "GOOGLE_BASE_URL": url,
        "GOOGLE_BEARER_TOKEN": "tests",
        "AZURE_STORAGE_ENDPOINT": url,
        "AZURE_STORAGE_ACCOUNT_NAME": "tests",
        "AZURE_STORAGE_ACCOUNT_KEY": "a2V5",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield open_place(f"{request.param}://bucket/some/runs")
    server.shutdown()
    server.server_close()
    thread.join()
    Objects.kept.clear()


def test_the_stores_of_google_and_azure_create_once_too(other: AbstractPlace) -> None:
    assert other.create("a", b"first")
    assert not other.create("a", b"second")
    assert other.read("a") == b"first"
    other.write("a", b"third")
    assert other.read("a") == b"third"
    assert [path.rpartition("bucket")[2] for path in Objects.kept] == ["/some/runs/a"]
    assert "cannot be read" in str(other.read("b"))


# What is said of addresses


def said(address: str) -> str:
    """Return what is said of an address, by all that is done with it."""
    texts: set[str] = set()
    for act in (
        lambda store: store.place.exists(),
        lambda store: store.read(),
        lambda store: store.put({"key": "a", "loss": 1.0}),
        lambda store: store.place.write("a", b""),
    ):
        with pytest.raises(HplawError) as caught:
            act(Store(address))
        texts.add(caught.value.text)
    (text,) = texts
    assert "\n" not in text
    return text


@pytest.mark.parametrize("address", ["ftp://host/runs", "s3://", "http://host/runs", "file:///tmp/runs"])
def test_an_address_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(DataError, match=r"is no place of runs; give a folder, or an address such as s3://BUCKET/PATH"):
        Store(address)


def test_a_path_may_have_lost_a_slash_of_an_address(bucket: str) -> None:
    assert Store(Path(bucket) / "runs").address == f"{bucket}/runs"


def test_a_bucket_that_is_not_there_is_named(bucket: str, s3_server: str) -> None:
    assert said("s3://no-such-bucket/runs") == (
        f"s3://no-such-bucket/runs: there is no bucket 'no-such-bucket' at {s3_server}; make it, or give another address"
    )


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert said(bucket) == (
        f"{bucket}: no server answers at http://127.0.0.1:9; check the network and AWS_ENDPOINT_URL"
    )


def test_what_installs_the_library_of_object_stores_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreError, match=r"s3://bucket needs obstore, which is not installed; .*\[sweep\]"):
        Store("s3://bucket/runs")


def test_an_endpoint_that_is_no_url_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    assert "AWS_ENDPOINT_URL=127.0.0.1:9000 is no endpoint; give a URL" in said(bucket)


def test_credentials_that_do_not_suffice_are_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # from now on the server checks who asks
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
    assert "access was denied at http://127.0.0.1" in said(bucket)
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said(bucket)


def test_a_machine_without_an_account_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match="no credentials are set; set AZURE_STORAGE_ACCOUNT_NAME and"):
        Store("az://container/runs")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "name")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    assert Store("az://container/runs").address == "az://container/runs"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "Error performing PUT http://169.254.169.254/latest/api/token in 1s",
            "no credentials are set; set AWS_ACCESS",
        ),
        ("Server returned non-2xx status code: 403 Forbidden: <Code>InvalidAccessKeyId</Code>", "access was denied"),
        ("Generic S3 error: Missing SecretAccessKey", "no credentials are set"),
        ("operation timed out", "no server answers"),
        ("Generic S3 error: strange\nDebug source: ...", "s3://b/runs: Generic S3 error: strange"),
    ],
)
def test_what_an_object_store_says_becomes_one_sentence(bucket: str, text: str, says: str) -> None:
    from hplaw.runs.bucket import Bucket

    found = Bucket("s3", "b", "runs")._words(text)
    assert says in found
    assert "\n" not in found
