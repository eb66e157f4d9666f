"""Finding and loading adapters."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcpose_trt.benchmark import peers
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError


def test_words_of_a_peer(fake: str) -> None:
    """Fields of a spec are fields, everything else is the peer's own option."""
    path = fake.split("=")[0]
    spec = peers.parse(f"{path}=/a/w.onnx,size=448,min_score=0.2,colour=red", threads=2)
    assert spec == ContenderSpec(
        model="/a/w.onnx",
        peer=path,
        backend="",
        size="448",
        threads=2,
        min_score=0.2,
        options={"colour": "red"},
    )
    assert peers.bare(f"{path}=/a/w.onnx,size=448") == "fake_peer.py=w.onnx,size=448"
    assert peers.bare("rtmlib=/a/pose.onnx,detector=/b/people.onnx") == "rtmlib=pose.onnx,detector=people.onnx"


@pytest.mark.parametrize(
    ("peer", "weights", "label"),
    [
        ("movenet", "/a/movenet-multipose.onnx", "movenet-multipose"),
        ("ultralytics", "b/yolo11n-pose.pt", "ultralytics yolo11n-pose"),
        ("/c/mine.py", "", "mine"),
    ],
)
def test_labels_tell_peers_apart(peer: str, weights: str, label: str) -> None:
    assert ContenderSpec(weights, peer=peer, backend="").label == label


def test_peers_without_weights() -> None:
    """Whose weights come with their package needs none."""
    for name in peers.known():
        assert peers.parse(name).model == ""


@pytest.mark.parametrize("text", ["", "=x", "movenet=x,size", "movenet=x,=3"])
def test_not_a_peer(text: str) -> None:
    """The form is named."""
    with pytest.raises(GcposeError, match=r"is not a peer; write NAME=WEIGHTS"):
        peers.parse(text)


def test_bad_score(fake: str) -> None:
    """A score is a number."""
    with pytest.raises(GcposeError, match=r"'high' of .* is no number"):
        peers.parse(f"{fake},min_score=high")


def test_unknown_peers() -> None:
    """By a name and by a path."""
    with pytest.raises(GcposeError, match=r"no peer is called 'openpose'; choose from"):
        peers.parse("openpose=x")
    with pytest.raises(GcposeError, match=r"no adapter nowhere.py; check the path"):
        peers.parse("nowhere.py=x")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def (", "SyntaxError"),
        ("TITLE = NEEDS = ''", "is no adapter, it has no missing, open"),
    ],
)
def test_broken_adapters(tmp_path: Path, source: str, message: str) -> None:
    """A file of the user's own may have any fault; it is named, with the file."""
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(GcposeError, match=message) as error:
        peers.load(str(path))
    assert "mine.py" in str(error.value) and "\n" not in str(error.value)


def test_an_adapter_says_what_is_missing(fake: str, tmp_path: Path) -> None:
    """In one line; one that fails while it is asked is left out for that."""
    assert peers.missing(peers.parse(fake)) is None
    assert peers.missing(peers.parse(f"{fake},missing=weights\n gone")) == "weights gone"
    path = tmp_path / "mine.py"
    path.write_text("TITLE = NEEDS = ''\nopen = None\ndef missing(spec): return spec.nothing\n")
    assert "its adapter fails (AttributeError" in str(peers.missing(peers.parse(str(path))))
