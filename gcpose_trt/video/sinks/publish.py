"""Results as JSON messages to an MQTT broker, by paho-mqtt."""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.video.frames import Result
from gcpose_trt.video.sinks.broker import Broker, parse_broker
from gcpose_trt.video.sinks.json_lines import encode

OUTBOX = 100  # messages that wait for the network
_CONNECT_S = 10.0
_FLUSH_S = 5.0
_KEEPALIVE_S = 30  # a broker that says nothing for longer than this is gone
_RETRY_S = (1, 30)  # the wait before connecting again doubles from the first to the second

LOG = logging.getLogger("gcpose_trt.video")


class MqttSink:
    """Publishes each result as one message, the object that `gcpose_trt.video.sinks.json_lines.record` describes.

    A broker that is slow or gone costs nothing but its own messages: at most `OUTBOX` wait, further ones are dropped
    and counted, and the connection is made again with growing pauses. With qos 1, what waits is sent then; with qos 0,
    what comes while there is no connection is dropped at once.

    Args:
        address: mqtt://[user[:password]@]host[:port]/topic[?qos=0|1&retain=true&ca=FILE], mqtts:// for TLS.
        streams: names of the sources, where there are several; each then has the topic TOPIC/NAME.
        log: takes one line when the connection is lost and one when it is back; None logs a warning.

    Attributes:
        address: for people, without user and password.
        published, dropped: messages handed to the network, and lost.

    Raises:
        GcposeError: the address is wrong, nobody answers there, or the broker refuses us.
        MissingDependencyError: paho-mqtt is not installed.
    """

    needs_picture = False

    def __init__(self, address: str, streams: Sequence[str] = (), log: Callable[[str], object] | None = None) -> None:
        broker = parse_broker(address)
        self.address = str(broker)
        self.published = self.dropped = 0
        self._broker, self._streams = broker, tuple(streams)
        self._topics = [f"{broker.topic}/{_level(name)}" for name in streams] or [broker.topic]
        self._log = log or LOG.warning
        self._answered = threading.Event()
        self._refusal: str | None = None
        self._lost = False
        self._waiting: deque[Any] = deque(maxlen=OUTBOX)
        self._client = _client(broker)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._connect()

    def _connect(self) -> None:
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive=_KEEPALIVE_S)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            hint = "check host and port, and that it runs"
            raise GcposeError(f"no connection to {self.address} ({reason}); {hint}") from error
        self._client.loop_start()
        answered = self._answered.wait(_CONNECT_S)
        if answered and self._refusal is None:
            return
        self._client.disconnect()
        self._client.loop_stop()
        if not answered:
            raise GcposeError(f"{self.address} does not answer as an MQTT broker; check host and port")
        raise GcposeError(f"{self.address} refuses the connection ({self._refusal}); check user and password")

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        """Called by the client's thread."""
        if reason.is_failure:
            self._refusal = str(reason)
        elif self._lost:
            self._lost = False
            self._log(f"{self.address}: connected again; {self.dropped} messages were dropped so far")
        self._answered.set()

    def _disconnected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        """Called by the client's thread."""
        # Once: while it stays away, each attempt that is refused ends here as well.
        if reason.is_failure and not self._lost and self._refusal is None:
            self._lost = True
            self._log(f"{self.address}: connection lost ({reason}); trying again, check the broker")

    def write(self, result: Result) -> None:
        """Hand one message to the client's thread, or drop it; never waits."""
        while self._waiting and _done(self._waiting[0]):
            self._waiting.popleft()
        room = len(self._waiting) < OUTBOX
        # Without a connection the client itself queues what has qos 1, up to its own limit.
        if not room or (self._broker.qos == 0 and not self._client.is_connected()):
            self.dropped += 1
            return
        topic = self._topics[result.frame.stream if len(self._topics) > 1 else 0]
        payload = encode(result, self._streams)
        info = self._client.publish(topic, payload, qos=self._broker.qos, retain=self._broker.retain)
        if self._accepted(info.rc):
            self._waiting.append(info)
            self.published += 1
        else:
            self.dropped += 1

    def _accepted(self, code: int) -> bool:
        from paho.mqtt.enums import MQTTErrorCode

        queued = self._broker.qos > 0 and code == MQTTErrorCode.MQTT_ERR_NO_CONN
        return queued or code == MQTTErrorCode.MQTT_ERR_SUCCESS

    def __enter__(self) -> MqttSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + _FLUSH_S
        try:
            for info in self._waiting:
                with contextlib.suppress(RuntimeError, ValueError):  # its connection was lost
                    info.wait_for_publish(max(0.0, deadline - time.monotonic()))
        finally:
            self._client.on_disconnect = None
            self._client.disconnect()
            self._client.loop_stop()


def _client(broker: Broker) -> Any:
    try:
        from paho.mqtt.client import CallbackAPIVersion, Client
    except ImportError as error:
        raise MissingDependencyError("paho-mqtt", "mqtt", "publishing to MQTT") from error
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_queued_messages_set(OUTBOX)
    client.reconnect_delay_set(*_RETRY_S)
    client.connect_timeout = _CONNECT_S
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    if broker.tls:
        try:
            client.tls_set(ca_certs=broker.ca)
        except (OSError, ssl.SSLError) as error:
            raise GcposeError(f"no certificates can be read from {broker.ca}; name a PEM file with ca=") from error
    return client


def _done(info: Any) -> bool:
    """Say whether a message waits no longer."""
    try:
        return bool(info.is_published())
    except (RuntimeError, ValueError):  # lost with its connection, or queued by the client, which has its own limit
        return True


def _level(name: str) -> str:
    """Return a source's name as one level of a topic."""
    return "".join("_" if character in "/+#\0" else character for character in name)
