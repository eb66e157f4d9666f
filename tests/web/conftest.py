"""Servers for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the page needs aiohttp: pip install 'gcpose-trt[web]'")
pytest.importorskip("prometheus_client", reason="the page needs prometheus-client: pip install 'gcpose-trt[web]'")

from tests.web.serving import Serving


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start servers that are stopped in the end."""
    started: list[Serving] = []

    def start(**options: Any) -> Serving:
        serving = Serving(tmp_path / f"page{len(started)}", **options)
        serving.server.start()
        started.append(serving)
        return serving

    yield start
    for serving in started:
        serving.server.stop()
