"""Requests that cannot be answered: an error that says why, for that request alone, and the server goes on."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from benchmarks.triton.server import TritonServer
from tests.triton.server.asking import Client, Picture, assert_near
from tests.triton.server.test_answers import PROTOCOLS, statistics

pytestmark = pytest.mark.slow(1)
PIXELS = np.zeros((1, 8, 8, 3), np.uint8)


def bytes_of(*data: bytes) -> np.ndarray[Any, Any]:
    return np.array([[each] for each in data], object)


def bad_requests(good: Picture) -> dict[str, tuple[str, str, Any, str, dict[str, Any], str]]:
    """Return model, input, value, type, parameters and what the error must say, by what is wrong."""
    half = good.data[: len(good.data) // 2]
    return {
        "no picture": ("gcpose", "image", bytes_of(b"no picture at all"), "BYTES", {}, "not an image; give a JPEG"),
        "truncated": ("gcpose", "image", bytes_of(half), "BYTES", {}, "is truncated; "),
        "empty": ("gcpose", "image", bytes_of(b""), "BYTES", {}, "is empty; "),
        "one of two": ("gcpose", "image", bytes_of(good.data, b"?"), "BYTES", {}, "not an image; give a JPEG"),
        "none": ("gcpose", "image", np.zeros((0, 1), object), "BYTES", {}, "got 0"),
        "type": ("gcpose", "image", PIXELS[:, 0, 0, :1], "UINT8", {}, "data-type is 'UINT8'"),
        "shape": ("gcpose", "image", np.array([b"a"], object), "BYTES", {}, "unexpected shape for input 'image'"),
        "batch": ("gcpose", "image", bytes_of(*[good.data] * 9), "BYTES", {}, "batch-size must be <= 8"),
        "floats": ("gcpose_frame", "frame", PIXELS.astype(np.float32), "FP32", {}, "data-type is 'FP32'"),
        "grey": ("gcpose_frame", "frame", PIXELS[..., :1], "UINT8", {}, "unexpected shape for input 'frame'"),
        "no pixels": ("gcpose_frame", "frame", PIXELS[:, :0], "UINT8", {}, "is empty, shape"),
        "input": ("gcpose_frame", "image", PIXELS, "UINT8", {}, "unexpected inference input 'image'"),
        "model": ("gcpose_video", "frame", PIXELS, "UINT8", {}, "gcpose_video"),
        "score": ("gcpose_frame", "frame", PIXELS, "UINT8", {"min_score": "high"}, "min_score"),
        "people": ("gcpose_frame", "frame", PIXELS, "UINT8", {"max_people": 0}, "max_people"),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_is_refused_with_a_reason(protocol: str, server: TritonServer, asked: dict[str, Picture]) -> None:
    from tritonclient.utils import InferenceServerException

    good = asked["small.jpg"]
    with Client(protocol, server) as client:
        for what, (model, name, value, kind, parameters, reason) in bad_requests(good).items():
            with pytest.raises(InferenceServerException) as caught:
                client.infer(model, name, value, kind, **parameters)
            message = caught.value.message()
            assert reason in message, what
            assert "\n" not in message and "Traceback" not in message, what
        assert client.picture(good.data) == [good.poses]


def test_raw_bodies(server: TritonServer, asked: dict[str, Picture]) -> None:
    good = asked["small.jpg"]
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "frame",
                    "shape": [1, 2**20, 2**20, 3],
                    "datatype": "UINT8",
                    "parameters": {"binary_data_size": 3},
                }
            ]
        }
    ).encode()
    cases = [
        ("gcpose", b"", 0, "is empty; "),
        ("gcpose", good.data[:1000], 0, "is truncated; "),
        ("gcpose_frame", b"abc", 0, "can not be deduced"),
        ("gcpose_frame", header + b"abc", len(header), "byte size mismatch for input 'frame'"),
        ("gcpose_frame", header, 10**9, "header"),
        ("gcpose_frame", b"{", 1, "parse"),
    ]
    for model, body, length, reason in cases:
        assert reason in refusal(server, model, body, length).lower()
    with Client("http", server) as client:
        assert client.picture(good.data) == [good.poses]


def refusal(server: TritonServer, model: str, body: bytes, header_length: int) -> str:
    """Return the message with which a request is refused."""
    request = urllib.request.Request(
        f"http://{server.http}/v2/models/{model}/infer",
        body,
        {"Inference-Header-Content-Length": str(header_length), "Content-Type": "application/octet-stream"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=120)
    with caught.value as answer:
        message: str = json.load(answer)["error"]
    return message


def test_one_among_good_ones_fails_alone(server: TritonServer, asked: dict[str, Picture]) -> None:
    from tritonclient.utils import InferenceServerException

    good = asked["whole.jpg"]

    def ask(place: int) -> None:
        with Client(PROTOCOLS[place // 3], server) as client:
            if place % 2:
                with pytest.raises(InferenceServerException, match="is truncated; "):
                    client.picture(good.data[:-2000])
            else:
                assert_near(client.picture(good.data)[0], good.poses)

    # Three of six requests are bad, so of more than three that ran together some were good and some were not.
    for _ in range(20):
        before = executions_by_size(server)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(ask, range(6)))
        sizes = [size for size, count in executions_by_size(server).items() if count > before.get(size, 0)]
        if max(sizes) > 3:
            return
    pytest.fail("the server never gathered more than three of six requests")


def executions_by_size(server: TritonServer) -> dict[int, int]:
    """Return how often the model of pictures ran, by requests that ran together."""
    batches = statistics(server, "gcpose")["batch_stats"]
    return {batch["batch_size"]: batch["compute_infer"]["count"] for batch in batches}
