"""MQTT, against mosquitto where it is installed."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.video.sinks import MqttSink, publish
from gcpose_trt.video.sinks.broker import parse_broker
from tests.video.sinks.common import result

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
pytest.importorskip("paho.mqtt.client")
broker_needed = pytest.mark.skipif(PROGRAM is None, reason="the program mosquitto is not installed")


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Mosquitto:
    """A broker that can be started, stopped and frozen."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.port = free_port()
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text("\n".join(["user root", f"listener {self.port} 127.0.0.1", *settings, ""]))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [str(PROGRAM), "-c", str(self._configuration)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: answers(self.port))

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path, "allow_anonymous true")
    yield made
    made.stop()


@pytest.fixture
def subscriber(broker: Mosquitto) -> Iterator[list[Any]]:
    from paho.mqtt.client import CallbackAPIVersion, Client

    messages: list[Any] = []
    ready = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: client.subscribe("poses/#", qos=1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _client, _data, message: messages.append(message)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert ready.wait(30)
    yield messages
    client.disconnect()
    client.loop_stop()


@broker_needed
@pytest.mark.parametrize("qos", [0, 1])
def test_what_subscribers_get(broker: Mosquitto, subscriber: list[Any], qos: int) -> None:
    with MqttSink(f"mqtt://127.0.0.1:{broker.port}/poses/hall?qos={qos}&retain=true") as sink:
        for index in range(20):
            sink.write(result(index, index / 10, unix_time=1767225600 + index / 10, latency_ms=40.0))
    assert (sink.published, sink.dropped) == (20, 0), "leaving it waits for what is under way"
    until(lambda: len(subscriber) == 20)
    records = [json.loads(message.payload) for message in subscriber]
    assert [record["frame"] for record in records] == list(range(20))
    assert (records[0]["schema"], records[0]["latency_ms"], len(records[0]["people"])) == (1, 40.0, 1)
    assert {message.topic for message in subscriber} == {"poses/hall"}
    assert {message.qos for message in subscriber} == {qos}


@broker_needed
def test_each_source_has_its_topic(broker: Mosquitto, subscriber: list[Any]) -> None:
    with MqttSink(f"mqtt://127.0.0.1:{broker.port}/poses", ["door", "a/b+#"]) as sink:
        for stream in (0, 1):
            sink.write(result(stream=stream))
    until(lambda: len(subscriber) == 2)
    assert [message.topic for message in subscriber] == ["poses/door", "poses/a_b__"]
    assert [json.loads(message.payload)["stream"] for message in subscriber] == ["door", "a/b+#"]


@broker_needed
@pytest.mark.parametrize("qos", [0, 1])
def test_a_broker_that_goes_and_comes_back(
    broker: Mosquitto, qos: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(publish, "_RETRY_S", (1, 1))
    lines: list[str] = []
    with MqttSink(f"mqtt://127.0.0.1:{broker.port}/poses?qos={qos}", log=lines.append) as sink:
        sink.write(result())
        broker.stop()
        until(lambda: lines)
        for index in range(3 * publish.OUTBOX):
            sink.write(result(index))
        assert sink.dropped >= 2 * publish.OUTBOX, "no more than the outbox is kept"
        broker.start()
        until(lambda: len(lines) == 2)
        dropped = sink.dropped

        def gets_through() -> bool:
            sink.write(result())
            return sink.dropped == dropped

        until(lambda: sink._client.is_connected())
        until(gets_through) if qos == 0 else None
    assert "connection lost" in lines[0]
    assert "connected again" in lines[1]
    assert not any("\n" in line for line in lines)


@broker_needed
@pytest.mark.parametrize("qos", [0, 1])
def test_a_broker_that_stalls_costs_only_its_messages(
    broker: Mosquitto, qos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "OUTBOX", 10)
    monkeypatch.setattr(publish, "_FLUSH_S", 0.1)
    monkeypatch.setattr(publish, "encode", lambda *_: bytes(1 << 20))
    with MqttSink(f"mqtt://127.0.0.1:{broker.port}/poses?qos={qos}", log=lambda line: None) as sink:
        sink.write(result())
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        for index in range(1000):  # until the system's buffers of a connection are full
            sink.write(result(index))
            if sink.dropped > 5:
                break
        assert sink.dropped > 5
        assert len(sink._waiting) <= publish.OUTBOX
        broker.stop()  # so that leaving need not wait


def test_nobody_there() -> None:
    port = free_port()
    with pytest.raises(GcposeError, match=f"no connection to mqtt://127.0.0.1:{port}/poses .*refused") as caught:
        MqttSink(f"mqtt://me:secret@127.0.0.1:{port}/poses")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(GcposeError, match=r"no connection to mqtt://no-such-host\.invalid"):
        MqttSink("mqtt://no-such-host.invalid/poses")


def test_something_else_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(GcposeError, match="does not answer"):
        MqttSink(f"mqtt://127.0.0.1:{listener.getsockname()[1]}/poses")
    assert not [thread for thread in threading.enumerate() if "paho" in thread.name]


@broker_needed
def test_passwords(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    made = subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(passwords), "me", "p@ss w/rd"], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr
    passwords.chmod(0o644)
    tmp_path.chmod(0o755)
    secured = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}")
    try:
        with MqttSink(f"mqtt://me:p%40ss%20w%2Frd@127.0.0.1:{secured.port}/poses") as sink:
            sink.write(result())
        assert sink.published == 1
        with pytest.raises(GcposeError, match="refuses the connection") as caught:
            MqttSink(f"mqtt://me:wrong%21@127.0.0.1:{secured.port}/poses")
        assert "wrong" not in str(caught.value)
    finally:
        secured.stop()


@broker_needed
@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not installed")
def test_tls(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-nodes"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    made = subprocess.run(["openssl", "req", "-x509", *curve, *subject, *files], capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    key.chmod(0o644)
    secured = Mosquitto(tmp_path, "allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    try:
        with MqttSink(f"mqtts://127.0.0.1:{secured.port}/poses?qos=1&ca={certificate}") as sink:
            sink.write(result())
        assert (sink.published, sink.dropped) == (1, 0)
        with pytest.raises(GcposeError, match="certificate"):
            MqttSink(f"mqtts://127.0.0.1:{secured.port}/poses")
    finally:
        secured.stop()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("paho", "paho.mqtt", "paho.mqtt.client"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"gcpose-trt\[mqtt\]"):
        MqttSink("mqtt://127.0.0.1/poses")


def test_addresses() -> None:
    broker = parse_broker("mqtts://u%40x:p%3Aw@Host.local/a/b%20c?qos=1&retain=yes&ca=/etc/ca.pem")
    assert (broker.host, broker.port, broker.topic, broker.tls) == ("host.local", 8883, "a/b c", True)
    assert (broker.user, broker.password, broker.qos, broker.retain) == ("u@x", "p:w", 1, True)
    assert broker.ca == "/etc/ca.pem"
    assert str(broker) == "mqtts://host.local:8883/a/b c"
    assert "p:w" not in repr(broker)
    assert str(parse_broker("mqtt://[::1]/t")) == "mqtt://[::1]:1883/t"
    assert parse_broker("mqtt://h/t").user is None


@pytest.mark.parametrize(
    "address",
    [
        "mqtt://u:secret@host",
        "mqtt://u:secret@host/",
        "mqtt:///secret",
        "mqtt:secret",
        "mqtt://u:secret@host/a/#",
        "mqtt://u:secret@host/a/+/b",
        "mqtt://u:secret@host:port/a",
        "mqtt://u:secret@host:99999/a",
        "mqtt://u:secret@[::1/a",
        "mqtt://u:secret@host/a?qos=2",
        "mqtt://u:secret@host/a?retain=maybe",
        "mqtt://u:secret@host/a?colour=red",
        "ws://u:secret@host/a",
    ],
)
def test_wrong_addresses(address: str) -> None:
    with pytest.raises(GcposeError) as caught:
        parse_broker(address)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_certificates_that_are_not_there() -> None:
    with pytest.raises(GcposeError, match=r"nothing\.pem"):
        MqttSink("mqtts://127.0.0.1/poses?ca=nothing.pem")
