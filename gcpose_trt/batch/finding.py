"""The videos and pictures that a path, a pattern or an address stands for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import cv2

from gcpose_trt.batch import storage
from gcpose_trt.batch.addresses import address, has_magic, is_remote, suffix
from gcpose_trt.batch.faults import patiently
from gcpose_trt.errors import GcposeError
from gcpose_trt.video.images import SUFFIXES, natural_order

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".divx", ".ts", ".m2ts", ".mts", ".m2t", ".mpg", ".mpeg"}
    | {".mpe", ".m2v", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogm", ".mxf", ".mjpeg"}
    | {".mjpg", ".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".y4m", ".nut", ".gif", ".apng"}
)
_MANIFESTS = frozenset({".txt", ".list", ".csv", ".jsonl"})
_NOTHING = "put videos or pictures there or give another"


@dataclass(frozen=True)
class Found:
    """A video or picture.

    Attributes:
        uri: absolute path, or address as `addresses.address` has it.
        kind: as `SourceSpec.kind`.
        fingerprint: size, and time of modification or ETag.
        explicit: it was named by itself.
    """

    uri: str
    kind: Literal["video", "images"]
    fingerprint: str
    explicit: bool


def is_manifest(uri: str) -> bool:
    """Say whether a file's name is that of a manifest, and it is no folder."""
    if suffix(uri) not in _MANIFESTS or has_magic(uri):
        return False
    return is_remote(uri) or not Path(uri).is_dir()


def find(uri: str, recursive: bool) -> list[Found]:
    """Return what an absolute path, pattern or address stands for; at least one.

    A store that does not answer is asked again, see `faults.patiently`.

    Raises:
        GcposeError: nothing.
    """
    return patiently(lambda: _find_remote(uri, recursive), uri) if is_remote(uri) else _find_local(uri, recursive)


def _find_local(name: str, recursive: bool) -> list[Found]:
    # A file may have [ or * in its name, so what exists is not a pattern.
    if not os.path.lexists(name) and glob.has_magic(name):
        found = glob.iglob(name, recursive=True)  # noqa: PTH207  # takes absolute patterns too
        files = sorted((path for path in found if _kind(path) and Path(path).is_file()), key=natural_order)
        if not files:
            raise GcposeError(f"no video or picture matches {name}; check the pattern, and quote it in a shell")
        return [_local(file, False) for file in files]
    if Path(name).is_dir():
        files = sorted(_walk(name, recursive), key=natural_order)
        if not files:
            raise GcposeError(f"no video or picture in folder {name}; {_NOTHING} folder")
        return [_local(file, False) for file in files]
    return [_local(name, True)]


def _walk(folder: str, recursive: bool) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        if error.filename == folder:
            raise GcposeError(f"cannot list {folder} ({error.strerror}); check its permissions") from error

    seen: set[str] = set()  # links to folders are followed, in circles not
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        paths = (Path(parent, name) for name in files if _kind(name) and not name.startswith("."))
        yield from (str(path) for path in paths if path.is_file())


def _local(path: str, explicit: bool) -> Found:
    details = storage.info(path)
    kind = _kind(path)
    if kind is None:
        # Only the content tells. OpenCV looks at its first bytes.
        kind = "images" if Path(path).is_file() and cv2.haveImageReader(path) else "video"
    return Found(path, kind, f"{details.size} {details.mark}", explicit)


def _find_remote(uri: str, recursive: bool) -> list[Found]:
    fs, path = storage.filesystem(uri)
    if has_magic(uri) and not fs.exists(path):
        found = {name: details for name, details in fs.glob(path, detail=True).items() if _is_file(details)}
        wrong = f"no video or picture matches {uri}; check the pattern, and quote it in a shell"
        return _listed(fs, path, found, wrong)
    # Asking a web server whether a file is a folder would fetch the file.
    if _kind(path) is None and (path.endswith("/") or not _is_web(fs)) and fs.isdir(path):
        found = fs.find(path, maxdepth=None if recursive else 1, detail=True)
        return _listed(fs, path, found, f"no video or picture in folder {uri}; {_NOTHING} folder")
    details = storage.info_of(fs.info(path))
    # As folders and patterns have it, so that it counts once; of a chain ("simplecache::s3://...") no one says how.
    name = uri if "::" in uri else address(fs.unstrip_protocol(path))
    return [Found(name, _kind(path) or "video", f"{details.size} {details.mark}", True)]


def _listed(fs: Any, root: str, found: dict[str, dict[str, Any]], wrong: str) -> list[Found]:
    start = PurePosixPath(root.rstrip("/"))
    chosen = []
    for name in sorted(found, key=natural_order):
        kind = _kind(name)
        path = PurePosixPath(name)
        below = path.relative_to(start).parts if path.is_relative_to(start) else (path.name,)
        if kind and not any(part.startswith(".") for part in below):
            details = storage.info_of(found[name])
            chosen.append(Found(address(fs.unstrip_protocol(name)), kind, f"{details.size} {details.mark}", False))
    if not chosen:
        raise GcposeError(wrong)
    return chosen


def _is_file(details: dict[str, Any]) -> bool:
    return bool(details.get("type", "file") != "directory")


def _is_web(fs: Any) -> bool:
    names = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
    return "http" in names


def _kind(name: str) -> Literal["video", "images"] | None:
    ending = suffix(name)
    if ending in VIDEO_SUFFIXES:
        return "video"
    return "images" if ending in SUFFIXES else None
