"""Lines to a reader who goes away."""

from __future__ import annotations

import os

from gcpose_trt.cli.terminal import Terminal


def test_what_is_written_arrives_until_nobody_reads() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", buffering=1) as stream:
        terminal = Terminal(stream)
        assert terminal.write("one\n") == 4
        terminal.flush()
        assert os.read(reading, 100) == b"one\n"
        os.close(reading)
        for _ in range(3):
            assert terminal.write("two\n") == 4
            terminal.flush()
        assert not terminal.isatty()
        stream.write("three\n")  # nor does whoever writes past it meet the broken pipe
