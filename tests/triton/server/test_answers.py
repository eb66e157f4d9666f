"""What an exported model answers in a real server: what PoseEstimator says of the same pictures."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.triton.server import TritonServer
from gcpose_trt.runtime.estimator import PoseEstimator
from tests.triton.server.asking import Client, Picture, assert_near, run, unpack

pytestmark = pytest.mark.slow(2)
PROTOCOLS = ("http", "grpc")
TYPES = {"INT32": np.int32, "FP32": np.float32}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_lone_requests_equal_the_estimator_bit_for_bit(
    protocol: str, server: TritonServer, asked: dict[str, Picture]
) -> None:
    with Client(protocol, server) as client:
        for name, picture in asked.items():
            assert client.picture(picture.data) == [picture.poses], name
            assert client.frame(picture.pixels) == picture.poses, name


def test_pictures_of_one_request(server: TritonServer, asked: dict[str, Picture]) -> None:
    names = ("whole.jpg", "dark.png", "small.jpg")
    with Client("grpc", server) as client:
        found = client.picture(*(asked[name].data for name in names))
    assert len(found) == len(names)
    for poses, name in zip(found, names, strict=True):
        assert_near(poses, asked[name].poses)


def test_parameters_of_a_request(server: TritonServer, asked: dict[str, Picture]) -> None:
    whole = asked["whole.jpg"]
    with PoseEstimator("mobile", threads=1, min_score=0.01, max_people=3) as estimator:
        wanted = estimator(whole.pixels)
    assert len(wanted) > len(whole.poses)
    with Client("http", server) as client:
        assert client.picture(whole.data, min_score="0.01", max_people=3) == [wanted]
        assert client.frame(whole.pixels, min_score="0.01", max_people=3) == wanted
        assert client.picture(whole.data) == [whole.poses]


def test_clients_at_once_get_their_own_answers_and_share_the_network(
    server: TritonServer, asked: dict[str, Picture]
) -> None:
    before = statistics(server, "gcpose")

    def ask(place: int) -> None:
        names = [*asked]
        with Client(PROTOCOLS[place % 2], server) as client:
            for step in range(3):
                picture = asked[names[(place + step) % len(names)]]
                found = client.picture(picture.data)[0] if (place + step) % 3 else client.frame(picture.pixels)
                assert_near(found, picture.poses)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    after = statistics(server, "gcpose")
    asked_for = after["inference_count"] - before["inference_count"]
    assert asked_for == sum((place + step) % 3 != 0 for place in range(8) for step in range(3))
    assert after["execution_count"] - before["execution_count"] < asked_for


def statistics(server: TritonServer, model: str) -> dict[str, Any]:
    """Return Triton's statistics of a model."""
    with server.get(f"/v2/models/{model}/stats") as answer:
        found: dict[str, Any] = json.load(answer)["model_stats"][0]
    return found


def readme_blocks(repository: Path, server: TritonServer, language: str) -> list[str]:
    """Return the programs under "Ask" of the exported README, which are to reach this server."""
    section = re.split(r"^## ", (repository / "README.md").read_text(), flags=re.MULTILINE)
    ask = next(part for part in section if part.startswith("Ask"))
    blocks = re.findall(rf"^```{language}\n(.*?)^```", ask, flags=re.MULTILINE | re.DOTALL)
    return [block.replace("localhost:8000", server.http).replace("localhost:8001", server.grpc) for block in blocks]


def test_curl_of_the_readme(repository: Path, server: TritonServer, asked: dict[str, Picture], tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(asked["whole.jpg"].data)
    (block,) = readme_blocks(repository, server, "sh")
    shown = run(["bash", "-euc", block], tmp_path)
    head = json.loads(shown)
    body, place, outputs = (tmp_path / "answer.bin").read_bytes()[len(shown) :], 0, {}
    for output in head["outputs"]:
        size = output["parameters"]["binary_data_size"]
        array = np.frombuffer(body[place : place + size], TYPES[output["datatype"]])
        outputs[output["name"]] = array.reshape(output["shape"])
        place += size
    assert place == len(body)
    assert unpack(outputs) == [asked["whole.jpg"].poses]


def test_python_of_the_readme(
    repository: Path, server: TritonServer, asked: dict[str, Picture], tmp_path: Path
) -> None:
    whole = asked["whole.jpg"]
    (tmp_path / "picture.jpg").write_bytes(whole.data)
    encoded, raw = readme_blocks(repository, server, "python")
    lines = run([sys.executable, "-c", encoded], tmp_path).decode().splitlines()
    sure = whole.poses.scores >= 0.5
    wanted = [f"{score!s} {box}" for score, box in zip(whole.poses.scores[sure], whole.poses.boxes[sure], strict=True)]
    assert lines == wanted[:10]
    assert run([sys.executable, "-c", raw], tmp_path).decode() == f"{whole.poses.keypoints}\n"
