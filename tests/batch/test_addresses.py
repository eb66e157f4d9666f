"""Addresses: their secrets open files and are never shown."""

from __future__ import annotations

import copy
import dataclasses
import http.server
import json
import pickle
import re
import threading
from pathlib import Path

import pytest

from gcpose_trt.batch import records
from gcpose_trt.batch.addresses import Address, absolute, address, link_of, parent, redact, suffix
from gcpose_trt.batch.inputs import expand
from gcpose_trt.batch.storage import read_bytes
from tests.batch.support_inputs import plan, source, web_server
from tests.support.clips import corner_image, make_clip

AWS = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F2026&X-Amz-Date=2026&X-Amz-Expires=60"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (f"{AWS}&X-Amz-Security-Token=s3cret&X-Amz-Signature=s3cret&x-id=GetObject", "x-id=GetObject"),
        ("versionId=7&AWSAccessKeyId=AKIA&Expires=17&Signature=s3cret%3D", "versionId=7"),
        ("X-Goog-Algorithm=GOOG4&X-Goog-Date=1&X-Goog-Signature=s3cret", ""),
        ("GoogleAccessId=me&Expires=17&Signature=s3cret", ""),
        ("sv=2024&sr=b&sp=r&st=1&se=2&spr=https&sig=s3cret%3D&snapshot=5", "snapshot=5"),
        ("Expires=17&Policy=s3cret&Signature=s3cret&Key-Pair-Id=K1", ""),
        ("q-sign-algorithm=sha1&q-ak=1&q-sign-time=1&q-key-time=1&q-signature=s3cret", ""),
        ("a=1&token=s3cret&b=2", "a=1&b=2"),
        ("access_token=s3cret&api_key=s3cret&apikey=s3cret&key=s3cret&auth=s3cret&password=s3cret", ""),
        ("X%2DAmz%2DSignature=s3cret&__token__=s3cret&sastoken=s3cret&hdnts=s3cret", ""),
    ],
)
def test_secrets_of_links(query: str, shown: str) -> None:
    link = f"https://host/a%20b/clip.mp4?{query}"
    found = address(link)
    assert found == "https://host/a%20b/clip.mp4" + (f"?{shown}" if shown else "")
    assert link_of(found) == link
    assert "s3cret" not in redact(f"ClientError: 403, url='{link}'; GET /clip.mp4?{query})")


def test_the_documentation_names_them() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| Of \| Parameters \|\n\|---\|---\|\n(.*?)\n\n", page, re.S)
    *rows, beside = table.splitlines()
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row.replace("after `_`, `-` or `.`", ""))]
    assert len(names) > 40
    for name in {*names} - {"sv", "sr", "sp", "st", "se"}:
        assert address(f"https://host/x.mp4?{name.replace('*', 'a')}=s3cret&id=1") == "https://host/x.mp4?id=1", name
    for name in re.findall(r"`([^`]+)`", beside):
        assert address(f"https://host/x.mp4?{name}=17&id=1") == f"https://host/x.mp4?{name}=17&id=1"
        assert address(f"https://host/x.mp4?{name}=17&sig=s3cret&id=1") == "https://host/x.mp4?id=1", name


@pytest.mark.parametrize(
    "link",
    [
        "https://host/clip.mp4",
        "https://host/get?id=7&sr=en&expires=never&sort_key=a&monkey=1",
        "https://host/get?key=videos/a.mp4&policy=open",
        "s3://bucket/token=5/sig=a/clip.mp4",
        "abfs://container@account.dfs.core.windows.net/clip.mp4",
        "https://host/clip.mp4#t=10",
    ],
)
def test_addresses_without_secrets_stay(link: str) -> None:
    assert address(link) is link and redact(link) == link


def test_nothing_shows_the_link() -> None:
    found = address("https://host/x.mp4?sig=s3cret")
    assert isinstance(found, Address)
    shown = [str(found), repr(found), f"{found}", f"{found!r:>50}", "%s" % found, json.dumps([found]), found.upper()]  # noqa: UP031
    assert not any("s3cret" in text.lower() for text in shown)
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert isinstance(other, Address) and (other, other.link) == (found, found.link)
    assert {found: 1}["https://host/x.mp4"] == 1


def test_logins() -> None:
    assert redact("sftp://me:pa@ss@host/x failed") == "sftp://host/x failed"
    assert redact("see (https://ghp_token@host/x).") == "see (https://host/x)."
    for name in ("https://token@host/x.mp4", "sftp://me:pa@ss@host/x.mp4"):
        _, (failure,) = expand([name])
        assert "netrc" in failure.reason and not any(word in repr(failure) for word in ("token@", "pa@", "ss@"))


def test_folders() -> None:
    assert parent("https://host/a/1.jpg?x=b/c") == "https://host/a"
    assert parent("s3://bucket/a?b/1.jpg") == "s3://bucket/a?b"
    assert absolute("1.jpg?sig=a", "https://host/b") == "https://host/b/1.jpg"


@pytest.mark.parametrize("name", ["/a/list.CSV", "s3://b/list.csv?versionId=1", "https://h/list.csv?a=b.mp4"])
def test_what_follows_the_question_mark_is_no_ending(name: str) -> None:
    assert suffix(name) == ".csv"


def test_a_link_that_was_signed_anew_is_the_same_source(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", [corner_image()] * 5)
    (tmp_path / "list.txt").write_text("clip.mp4\n")

    def signed(method: str, path: str) -> str:
        # As S3 does it: a link is signed for one method.
        return "" if "Signature=good" in path and method == "GET" else "403"

    with web_server(tmp_path, trouble=signed) as (host, _):
        link = f"{host}/clip.mp4?X-Amz-Date=1&X-Amz-Signature=good"
        planned = plan(link)
        assert planned.frames == 5
        assert source(f"{host}/clip.mp4?X-Amz-Date=2&X-Amz-Signature=good-too") == planned.spec
        record = records.plan_of(json.loads(json.dumps(records.to_json(planned))))
        assert record.spec == planned.spec and "good" not in json.dumps(records.to_json(planned))
        assert type(record.spec.uri) is str and link_of(dataclasses.replace(record, spec=planned.spec).spec.uri) == link
        _, (denied,) = expand([f"{host}/clip.mp4?X-Amz-Signature=expired"])
        assert denied.uri == f"{host}/clip.mp4" and "sign it anew" in denied.reason and "expired" not in denied.reason
        manifest = absolute(f"{host}/list.txt?Signature=good")
        assert read_bytes(manifest) == b"clip.mp4\n"
        sources, (failure,) = expand([manifest.link])  # type: ignore[attr-defined]
        assert sources == [] and failure.uri == "clip.mp4", "the manifest was read; a signature is for one file"


def test_two_files_that_only_a_secret_tells_apart() -> None:
    sizes = {"a": 10, "b": 20}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(sizes[self.path[-1]]))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        sources, (failure,) = expand([f"{host}/get.mp4?key=a", f"{host}/get.mp4?key=b", f"{host}/get.mp4?key=a"])
    finally:
        server.shutdown()
        server.server_close()
    assert len(sources) == 1
    assert "two files whose links differ only in parameters that count as secret" in failure.reason
