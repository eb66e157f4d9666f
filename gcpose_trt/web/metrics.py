"""How the pipeline does, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gcpose_trt.video.live_types import SinkStatistics, Snapshot, SourceStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SOURCE_STATES = ("starting", "running", "paused", "reconnecting", "ended", "failed")
_SINK_STATES = ("running", "failed", "closed")


def metrics(
    snapshot: Snapshot, streams: int, sockets: int, refused: int, dropped: int, published: dict[str, int]
) -> bytes:
    """Return the text of `/metrics`.

    Args:
        snapshot: of the pipeline.
        streams: clients that watch a video now.
        sockets: WebSockets open now.
        refused: clients refused for lack of room since the start.
        dropped: clients dropped because they did not keep up since the start.
        published: frames handed to the page since the start, by source.
    """

    class _Values(Collector):
        def collect(self) -> Iterable[Metric]:
            yield from _pipeline(snapshot)
            yield from _sources(snapshot.sources)
            yield from _sinks(snapshot.sinks)
            clients = GaugeMetricFamily("gcpose_page_clients", "Clients of the page, now.", labels=["kind"])
            clients.add_metric(["stream"], streams)
            clients.add_metric(["socket"], sockets)
            yield clients
            yield CounterMetricFamily("gcpose_page_clients_refused", "Clients refused for lack of room.", refused)
            yield CounterMetricFamily("gcpose_page_clients_dropped", "Clients that did not keep up.", dropped)
            frames = CounterMetricFamily("gcpose_page_frames", "Frames handed to the page.", labels=["source"])
            for name, count in published.items():
                frames.add_metric([name], count)
            yield frames

    registry = CollectorRegistry()
    registry.register(_Values())
    return generate_latest(registry)


def _pipeline(snapshot: Snapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily("gcpose_uptime_seconds", "Seconds since the start.", snapshot.uptime_s)
    model = GaugeMetricFamily(
        "gcpose_model_info", "The model that runs; always 1.", labels=["model", "backend", "precision", "device"]
    )
    model.add_metric([snapshot.model, snapshot.backend, snapshot.precision, snapshot.device], 1)
    yield model
    yield CounterMetricFamily("gcpose_network_failures", "Frames for which the network failed.", snapshot.failures)
    yield GaugeMetricFamily("gcpose_paused", "1 while nothing is estimated.", float(snapshot.settings.paused))
    stages = GaugeMetricFamily(
        "gcpose_stage_seconds", "Median time of each stage for a frame, over the last seconds.", labels=["stage"]
    )
    for name, milliseconds in snapshot.stages_ms.items():
        stages.add_metric([name], milliseconds / 1000)
    yield stages


def _sources(sources: tuple[SourceStatistics, ...]) -> Iterator[Metric]:
    counters = (
        ("captured", "gcpose_frames_captured", "Frames that came from the source."),
        ("estimated", "gcpose_frames_estimated", "Frames whose people were looked for."),
        ("dropped", "gcpose_frames_dropped", "Frames that were too old when their turn came."),
        ("reconnects", "gcpose_reconnects", "Times that a lost source came back."),
    )
    gauges = (
        ("source_fps", "gcpose_source_fps", "Frames a second from the source."),
        ("inference_fps", "gcpose_inference_fps", "Frames a second whose people were looked for."),
        ("people", "gcpose_people", "People in the latest frame."),
    )
    labels = [_label(index, source.name) for index, source in enumerate(sources)]
    for kind, entries in ((CounterMetricFamily, counters), (GaugeMetricFamily, gauges)):
        for attribute, name, text in entries:
            family = kind(name, text, labels=["source", "name"])
            for label, source in zip(labels, sources, strict=True):
                family.add_metric(label, getattr(source, attribute))
            yield family
    latency = GaugeMetricFamily(
        "gcpose_latency_seconds",
        "From capture to poses, over the last seconds.",
        labels=["source", "name", "quantile"],
    )
    state = GaugeMetricFamily("gcpose_source_state", "1 for the state it is in.", labels=["source", "name", "state"])
    for label, source in zip(labels, sources, strict=True):
        for quantile, value in (("0.5", source.latency_p50_ms), ("0.99", source.latency_p99_ms)):
            if value is not None:
                latency.add_metric([*label, quantile], value / 1000)
        for name in _SOURCE_STATES:
            state.add_metric([*label, name], float(source.state == name))
    yield latency
    yield state


def _sinks(sinks: tuple[SinkStatistics, ...]) -> Iterator[Metric]:
    written = CounterMetricFamily("gcpose_sink_frames_written", "Frames written.", labels=["sink", "name"])
    dropped = CounterMetricFamily("gcpose_sink_frames_dropped", "Frames too many for it.", labels=["sink", "name"])
    state = GaugeMetricFamily("gcpose_sink_state", "1 for the state it is in.", labels=["sink", "name", "state"])
    for index, sink in enumerate(sinks):
        label = _label(index, sink.name)
        written.add_metric(label, sink.written)
        dropped.add_metric(label, sink.dropped)
        for name in _SINK_STATES:
            state.add_metric([*label, name], float(sink.state == name))
    yield from (written, dropped, state)


def _label(index: int, name: str) -> list[str]:
    # The number too: two sources, or two sinks, may have one name.
    return [str(index), name]
