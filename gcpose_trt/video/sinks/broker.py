"""Addresses of MQTT brokers: mqtt://[user[:password]@]host[:port]/topic[?option=value&...]."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from gcpose_trt.errors import GcposeError

_PORTS = {"mqtt": 1883, "mqtts": 8883}  # registered at IANA
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_FORM = "write mqtt://[user[:password]@]host[:port]/topic[?qos=0|1&retain=true&ca=FILE]"
_TOPIC_BYTES = 60_000  # MQTT ends at 65,535; names of sources are added


@dataclass(frozen=True)
class Broker:
    """What an address says.

    Attributes:
        topic: without wildcards.
        tls: mqtts instead of mqtt.
        user, password: decoded; None where the address has none. The password is in no representation.
        qos: 0 (at most once) or 1 (at least once).
        retain: whether the broker keeps the last record for whoever subscribes later.
        ca: file of certificates that may have signed the broker's; None takes the system's.
    """

    host: str
    port: int
    topic: str
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    qos: int = 0
    retain: bool = False
    ca: str | None = None

    def __str__(self) -> str:
        """The address, for people: without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}/{self.topic}"


def is_broker(text: str) -> bool:
    """Say whether `text` is meant as a broker's address."""
    return text.lower().startswith(("mqtt:", "mqtts:"))


def parse_broker(text: str) -> Broker:
    """Read an address.

    User, password and topic may be percent-encoded, as in %40 for @.

    Raises:
        GcposeError: it is none, or has options that do not exist. The message holds no password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its text may quote the password
        raise GcposeError(f"the MQTT address cannot be read (a wrong port?); {_FORM}") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname:
        raise GcposeError(f"the MQTT address names no host; {_FORM}")
    topic = unquote(parts.path[1:])
    if not topic or "#" in text or set("+#\0") & set(topic) or len(topic.encode()) > _TOPIC_BYTES:
        raise GcposeError(f"the MQTT address of {parts.hostname} has no topic, or one with + or #; {_FORM}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    qos, retain, ca = options.pop("qos", "0"), options.pop("retain", "0"), options.pop("ca", None)
    if options:
        raise GcposeError(f"an MQTT address has no option {min(options)!r}; {_FORM}")
    if qos not in ("0", "1"):
        raise GcposeError(f"qos is {qos!r} in the MQTT address; choose 0 or 1")
    if retain.lower() not in _FLAGS:
        raise GcposeError(f"retain is {retain!r} in the MQTT address; choose true or false")
    return Broker(
        host=parts.hostname,
        port=_PORTS[scheme] if port is None else port,
        topic=topic,
        tls=scheme == "mqtts",
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        qos=int(qos),
        retain=_FLAGS[retain.lower()],
        ca=ca,
    )
