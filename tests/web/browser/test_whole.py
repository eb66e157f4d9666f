"""Source, shipped network, tracker and page together."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from gcpose_trt import PoseEstimator
from gcpose_trt.pose.drawing import Painter
from gcpose_trt.video.capture import open_capture
from gcpose_trt.video.live import LivePipeline, Output
from gcpose_trt.video.live_types import Controls, Settings
from gcpose_trt.web.server import WebServer
from gcpose_trt.web.sink import WebSink
from tests.web.browser.watched import Visitor, until


@pytest.mark.slow
def test_pattern_is_shown_live(visit: Callable[..., Visitor]) -> None:
    controls, log = Controls(Settings()), list[str]()
    pipelines: list[LivePipeline] = []
    server = WebServer(
        "127.0.0.1", 0, controls=controls, snapshot=lambda: pipelines[0].snapshot(), streams=["pattern"], log=log.append
    )
    pipelines.append(
        LivePipeline(
            [open_capture("pattern://?people=2")],
            PoseEstimator("mobile", size=256, threads=1),
            [Output("web", WebSink(server))],
            controls=controls,
            policy="latest",
            tracking=True,
            painter_factory=lambda stream: Painter(),
            log=log.append,
        )
    )
    run = threading.Thread(target=pipelines[0].run)
    with server:
        run.start()
        try:
            visitor = visit(server.url)
            shown = visitor.sees_video()
            visitor.sees_video(after=shown)
            visitor.sees_state("Live")
            visitor.page.wait_for_selector("#stages th:has-text('Pose')")
            visitor.page.get_by_role("button", name="Pause").click()
            until(lambda: pipelines[0].snapshot().sources[0].state == "paused", "the pipeline pauses")
            visitor.page.get_by_role("button", name="Start").click()
            visitor.sees_video(after=int(visitor.page.get_attribute("#video", "data-sequence")))
            visitor.leave()
        finally:
            pipelines[0].stop()
            run.join(30)
    assert not run.is_alive()
    assert log == []
