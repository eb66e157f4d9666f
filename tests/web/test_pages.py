"""What the server answers to single requests, good and bad."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from gcpose_trt.pose.drawing import blur_heads
from tests.web.serving import PAGE, PATIENCE_S, Serving, someone, wait_until

Serve = Callable[..., Serving]


def test_the_page_and_its_files(serve: Serve) -> None:
    serving = serve()
    status, text, headers = serving.get("/")
    assert (status, text) == (200, PAGE["index.html"])
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    status, text, headers = serving.get("/page/app/main.js")
    assert (status, text) == (200, PAGE["app/main.js"])
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    again = serving.get("/page/app/main.js", headers={"If-None-Match": headers["ETag"]})
    assert again[:2] == (304, "")
    assert serving.get("/page/style.css", headers={"If-None-Match": '"other"'})[0] == 200


def test_every_answer_protects_the_page(serve: Serve) -> None:
    serving = serve()
    for path in ("/", "/page/style.css", "/api/settings", "/nothing", "/healthz"):
        headers = serving.get(path)[2]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Server"] == "gcpose-trt"


@pytest.mark.parametrize(
    "path",
    [
        *("/page/../server.py", "/page/%2e%2e/server.py", "/page/..%2f..%2fserver.py", "/page//etc/passwd"),
        *("/page/notes.secret", "/page/app", "/page/", "/page/%00", "/etc/passwd", "/page/app\\main.js"),
    ],
)
def test_only_files_of_the_page_are_served(serve: Serve, path: str) -> None:
    serving = serve()
    # Not by a client, which would tidy the path up.
    with socket.create_connection(serving.server.address, timeout=PATIENCE_S) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\nthere is nothing here; the page is at /\n")
    assert not serving.lines


def test_answers_to_what_is_not_there(serve: Serve) -> None:
    serving = serve()
    for path in ("/stream.mjpg", "/ws", "/snapshot.jpg"):
        for source in ("2", "-1", "x", "1e3", "9" * 500, "٣", ""):
            status, text, _ = serving.get(path, params={"source": source})
            assert status == 404
            assert text == "there is no such source; choose from 0 to 1\n"
    assert serving.get("/snapshot.jpg")[:2] == (404, "there is no picture yet; try again soon\n")
    assert serving.get("/metrics", method="DELETE")[0] == 405
    assert serving.get("/stream.mjpg", method="HEAD")[0] == 405
    status, text, _ = serving.get("/ws")
    assert status == 400
    assert text.count("\n") == 1
    assert not serving.lines


def test_snapshot(serve: Serve) -> None:
    serving = serve()
    stripes = np.tile(np.array([40] * 8 + [200] * 8, np.uint8), (96, 8))
    image = cv2.cvtColor(stripes, cv2.COLOR_GRAY2BGR)
    serving.write(stream=1, image=image)

    def decoded(path: str) -> np.ndarray:
        status, text, headers = serving.get(path)
        assert status == 200
        assert headers["Content-Type"] == "image/jpeg"
        when = time.strftime("%Y%m%d-%H%M%S", time.localtime(1.7e9 + 1))
        assert headers["Content-Disposition"] == f'attachment; filename="gcpose-the_yard-{when}.jpg"'
        return cv2.imdecode(np.frombuffer(text.encode("latin-1"), np.uint8), cv2.IMREAD_COLOR).astype(int)

    plain = decoded("/snapshot.jpg?source=1&plain=1")
    drawn = decoded("/snapshot.jpg?source=1")
    assert np.abs(plain - image).mean() < 3
    assert np.abs(drawn - plain).max() > 100
    serving.controls.update(blur_heads=True)
    hidden = decoded("/snapshot.jpg?source=1&plain=1")
    assert np.abs(hidden - blur_heads(image, someone(), keypoint_threshold=0.05)).mean() < 3
    assert np.abs(hidden - plain).max() > 20
    assert serving.get("/snapshot.jpg?source=0")[0] == 404


def test_statistics_are_proper_json(serve: Serve) -> None:
    serving = serve()
    status, text, headers = serving.get("/api/statistics")
    assert status == 200
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    statistics = json.loads(text, parse_constant=pytest.fail)
    assert statistics["model"] == "mobile"
    assert statistics["sources"][1]["name"] == "video1"
    # JSON has no NaN.
    assert statistics["sources"][0]["latency_p99_ms"] is None


def test_settings_are_read_and_changed(serve: Serve) -> None:
    serving = serve()
    assert json.loads(serving.get("/api/settings")[1])["min_score"] == 0.3
    status, text, _ = serving.get("/api/settings", method="POST", json={"min_score": 0.7, "paused": True})
    assert status == 200
    assert json.loads(text) == {"min_score": 0.7, "smooth": 0.0, "paused": True, "blur_heads": False}
    assert serving.controls.settings.min_score == 0.7


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ('{"min_score": 2}', 400, "min_score is 2; choose a number from 0 to 1"),
        ('{"min_score": "0.5"}', 400, "choose a number"),
        ('{"min_score": NaN}', 400, "not JSON"),
        ('{"min_score": 1e999}', 400, "choose a number"),
        ('{"min_score": %s}' % ("9" * 3000), 400, "min_score is 9999"),
        ('{"paused": 1}', 400, "choose true or false"),
        ('{"self": 1}', 400, "there is no setting 'self'"),
        ('{"a\\nb\\ud800": 1}', 400, "there is no setting"),
        ("[1]", 400, "not an object"),
        ("{", 400, "not JSON"),
        ("[" * 4000, 400, "not JSON"),
        ("\xff\xfe", 400, "not JSON"),
        ("", 400, "not JSON"),
        ('{"min_score": 0.5%s}' % (" " * 5000), 413, "at most 4096 bytes"),
    ],
)
def test_bad_settings_change_nothing(serve: Serve, content: str, status: int, said: str) -> None:
    serving = serve()
    headers = {"Content-Type": "application/json"}
    answer = serving.get("/api/settings", method="POST", data=content.encode("latin-1"), headers=headers)
    assert answer[0] == status
    error = json.loads(answer[1])["error"]
    assert said in error
    assert "\n" not in error
    assert len(error) < 400
    assert serving.controls.settings == type(serving.controls.settings)()
    assert not serving.lines


def test_settings_need_their_content_type(serve: Serve) -> None:
    # A foreign page's form can send text/plain without asking.
    serving = serve()
    answer = serving.get("/api/settings", method="POST", data="{}", headers={"Content-Type": "text/plain"})
    assert answer[0] == 415


def test_health(serve: Serve) -> None:
    serving = serve()
    for good in (["running", "running"], ["paused", "ended"]):
        serving.states = good
        assert serving.get("/healthz")[:2] == (200, '{"status": "ok"}')
    serving.states = ["running", "reconnecting"]
    status, text, _ = serving.get("/healthz")
    assert status == 503
    assert json.loads(text) == {"status": "degraded", "sources": [{"source": 1, "state": "reconnecting"}]}
    serving.states = ["starting", "running"]
    status, text, _ = serving.get("/healthz")
    assert (status, json.loads(text)["status"]) == (503, "starting")
    serving.broken = True
    status, text, _ = serving.get("/healthz")
    assert (status, json.loads(text)["status"]) == (503, "unknown")
    assert serving.lines[0] == "page: no statistics (no numbers today)"


def test_failures_of_the_pipeline_are_one_line(serve: Serve) -> None:
    serving = serve()
    serving.broken = True
    status, text, _ = serving.get("/api/statistics")
    assert status == 500
    assert json.loads(text) == {"error": "the server could not answer; see its log"}
    assert "page: GET /api/statistics failed (no numbers today)" in serving.lines
    serving.broken = False
    assert serving.get("/api/statistics")[0] == 200
    wait_until(lambda: all("\n" not in line for line in serving.lines))


def test_metrics_as_prometheus_reads_them(serve: Serve) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    serving = serve()
    serving.write()
    status, text, headers = serving.get("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert all(family.documentation for family in families.values())
    assert all(family.name.startswith("gcpose_") for family in families.values())

    def value(family: str, sample: str, **labels: str) -> float:
        samples = [s for s in families[family].samples if s.name == sample and labels.items() <= s.labels.items()]
        assert len(samples) == 1
        return samples[0].value

    captured = {"source": "0", "name": "video0"}
    assert value("gcpose_frames_captured", "gcpose_frames_captured_total", **captured) == 100
    assert value("gcpose_frames_dropped", "gcpose_frames_dropped_total", source="1") == 10
    assert value("gcpose_network_failures", "gcpose_network_failures_total") == 3
    assert value("gcpose_stage_seconds", "gcpose_stage_seconds", stage="pose") == 0.0075
    assert value("gcpose_latency_seconds", "gcpose_latency_seconds", source="1", quantile="0.5") == 0.0125
    assert value("gcpose_source_state", "gcpose_source_state", source="0", state="running") == 1
    assert value("gcpose_source_state", "gcpose_source_state", source="0", state="failed") == 0
    assert value("gcpose_sink_frames_written", "gcpose_sink_frames_written_total", sink="0", name="out.mp4") == 90
    assert value("gcpose_page_frames", "gcpose_page_frames_total", source="0") == 1
    assert families["gcpose_source_fps"].type == "gauge"
    assert "v4l2" not in text
