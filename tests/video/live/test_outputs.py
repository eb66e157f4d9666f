"""What a sink's thread does besides writing."""

from __future__ import annotations

import threading

import numpy as np

from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.frames import Frame, Result
from gcpose_trt.video.live import Output
from gcpose_trt.video.live.outputs import SinkWorker
from tests.video.live.fakes import WAIT, FakeSink, no_threads_left


def result(index: int) -> Result:
    return Result(Frame(index, None, np.zeros((1, 1, 3), np.uint8), "x"), PoseFrame.empty())


class Window(FakeSink):
    """Wants to be looked after while no results come; notes which threads call it."""

    def __init__(self) -> None:
        super().__init__(before=lambda _: self.threads.add(threading.get_ident()))
        self.threads: set[int] = set()
        self.idled = threading.Event()

    def idle(self) -> None:
        self.threads.add(threading.get_ident())
        self.idled.set()

    def __enter__(self) -> Window:
        self.threads.add(threading.get_ident())
        return self

    def __exit__(self, *reason: object) -> None:
        self.threads.add(threading.get_ident())


def worker(sink: FakeSink, log: list[str], **options: bool) -> SinkWorker:
    made = SinkWorker(
        Output("x", sink), **{"patient": False} | options, failed=lambda worker: log.append(str(worker.error))
    )
    made.open()
    return made


def test_a_window_is_looked_after_by_one_thread() -> None:
    window = Window()
    thread = worker(window, [])
    assert window.idled.wait(WAIT)
    thread.put(result(0))
    thread.finish(None)
    thread.join()
    assert window.indices() == [0]
    assert len(window.threads) == 1
    assert threading.get_ident() not in window.threads
    assert no_threads_left()


def test_what_waits_is_written_before_the_sink_is_left() -> None:
    go = threading.Event()
    sink = FakeSink(before=lambda _: go.wait(WAIT))
    thread = worker(sink, log := [], patient=True)
    for index in range(2):
        thread.put(result(index))
    thread.finish(None)
    thread.put(result(9))  # too late, and no fault
    go.set()
    thread.join()
    assert sink.indices() == [0, 1]
    assert (thread.statistics().state, thread.statistics().written, log) == ("closed", 2, [])
