"""Servers that send what a test tells them to, and readers that wait."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import cv2
import numpy as np

from gcpose_trt.video.frames import Frame
from gcpose_trt.video.live_types import Capture, Reading, Status

PATIENCE_S = 30.0


def picture(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A picture of one grey."""
    return np.full((height, width, 3), level, np.uint8)


def jpeg(image: np.ndarray) -> bytes:
    """An image as a JPEG file."""
    return cv2.imencode(".jpg", image)[1].tobytes()


def take(capture: Capture, until: Callable[[Reading], bool] = lambda reading: reading.frame is not None) -> Reading:
    """Read until a reading is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    readings = []
    while time.monotonic() < deadline:
        readings.append(capture.read(0.2))
        if until(readings[-1]):
            return readings[-1]
        if readings[-1].status in (Status.END, Status.ERROR):
            break
    raise AssertionError(f"never came; the last: {readings[-3:]}")


def take_frame(capture: Capture) -> Frame:
    """The next frame."""
    frame = take(capture).frame
    assert frame is not None
    return frame


def drain(capture: Capture) -> tuple[list[Frame], Reading]:
    """All frames, and the reading that ended them."""
    frames = []
    while (reading := capture.read(PATIENCE_S)).frame is not None:
        frames.append(reading.frame)
    return frames, reading


class MjpegServer:
    """An HTTP camera on this machine: each connection is handled by `play(send)`, where send(image) sends a JPEG.

    The address with /still.jpg is one image, with /clip.mp4 what `files` has. Port 0 is any free one.
    """

    def __init__(self, play: Callable[[Callable[[np.ndarray | bytes], None]], None], port: int = 0) -> None:
        self.connections = 0
        self.files: dict[str, tuple[str, bytes]] = {}
        self.password: str | None = None
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path in camera.files:
                    kind, data = camera.files[self.path]
                    self._head(200, kind, len(data))
                    self.wfile.write(data)
                    return
                if self.path != "/video":
                    self.send_error(404)
                    return
                camera.connections += 1
                self._head(200, "multipart/x-mixed-replace; boundary=frame")
                with contextlib.suppress(OSError):
                    play(self._send)

            def _head(self, status: int, kind: str, length: int | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if length is not None:
                    self.send_header("Content-Length", str(length))
                self.end_headers()

            def _send(self, image: np.ndarray | bytes) -> None:
                data = image if isinstance(image, bytes) else jpeg(image)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}/video"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> MjpegServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def transport_stream(images: list[np.ndarray], rate: int = 25) -> bytes:
    """The images as an MPEG transport stream."""
    target = io.BytesIO()
    with av.open(target, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 5
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return target.getvalue()


class RtspServer:
    """An RTSP camera on this machine that sends a transport stream inside its TCP connection (RFC 2326, 10.12)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.transports: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://user:geheim@127.0.0.1:{self._socket.getsockname()[1]}/street"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RtspServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with client, client.makefile("rwb") as stream, contextlib.suppress(OSError):
                    for method, headers in self._requests(stream):
                        self._answer(stream, method, headers)
                        if method == "PLAY":
                            self._send(stream)
                            break

    def _requests(self, stream: io.BufferedRWPair) -> Iterator[tuple[str, dict[str, str]]]:
        while line := stream.readline().decode():
            headers = {}
            while header := stream.readline().decode().strip():
                key, _, value = header.partition(":")
                headers[key.lower()] = value.strip()
            yield line.split()[0], headers

    def _answer(self, stream: io.BufferedRWPair, method: str, headers: dict[str, str]) -> None:
        body, more = "", ""
        if method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=t\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:trackID=0\r\n"
            more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            self.transports.append(headers["transport"])
            more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        stream.write(f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\nSession: 1\r\n{more}\r\n{body}".encode())
        stream.flush()

    def _send(self, stream: io.BufferedRWPair) -> None:
        size = 7 * 188
        for number, start in enumerate(range(0, len(self._data), size)):
            part = self._data[start : start + size]
            head = b"\x80\x21" + number.to_bytes(2, "big") + (3600 * number).to_bytes(4, "big") + b"\0\0\0\1"
            stream.write(b"$\0" + (len(head) + len(part)).to_bytes(2, "big") + head + part)
            stream.flush()
        self._stop.wait(PATIENCE_S)
