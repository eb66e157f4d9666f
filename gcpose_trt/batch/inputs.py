"""What a user names as inputs of a batch, as a list of sources."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from gcpose_trt.batch import addresses
from gcpose_trt.batch.finding import Found, find, is_manifest
from gcpose_trt.batch.manifests import read_manifest
from gcpose_trt.batch.types import SourceFailure, SourceSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.video.images import natural_order


def expand(inputs: Sequence[str], recursive: bool = True) -> tuple[list[SourceSpec], list[SourceFailure]]:
    """Return the sources that inputs name.

    An input is a video, a picture, a folder, a pattern such as "clips/**/*.mp4", a manifest, or the address of any of
    these in an object store ("s3://bucket/clips/"). A manifest is a file that names inputs, by path relative to itself
    or by address: a text file (.txt, .list) with one a line and # before comments, a .csv with a column `source`, or a
    .jsonl whose objects have a key `source`.

    Of folders and patterns, videos and pictures (by their names' endings) are taken, hidden files and folders are not.
    Videos are a source each; the pictures of a folder are one together, a picture that was given alone is one, too.
    What is named twice counts once. Addresses with passwords are refused. What follows the question mark of a web
    address belongs to it, but for the signature of a signed link: that is used to read it and never written down, and
    a link that was signed anew is the same source.

    Args:
        inputs: as above.
        recursive: take the folders in folders, too.

    Returns:
        The sources, in the order given, those of a folder in natural order; and the inputs that name nothing, with the
        reasons.
    """
    collected = _Collected(recursive)
    for name in inputs:
        collected.add(name)
    return collected.sources(), collected.failures


@dataclass
class _Group:
    """Pictures of one folder, or a video.

    Attributes:
        files: address of each, with its fingerprint.
        explicit: all were named by themselves.
    """

    kind: str
    files: dict[str, str] = field(default_factory=dict)
    explicit: bool = True


@dataclass
class _Collected:
    recursive: bool
    failures: list[SourceFailure] = field(default_factory=list)
    groups: dict[tuple[str, str], _Group] = field(default_factory=dict)
    manifests: set[str] = field(default_factory=set)

    def add(self, name: str, base: str = "") -> None:
        """Take an input; what is wrong with it is noted."""
        try:
            uri = addresses.absolute(name, base)
            addresses.check_address(uri)
            if is_manifest(uri):
                self._add_manifest(uri)
                return
            for found in find(uri, self.recursive):
                self._add_file(found)
        except GcposeError as error:
            self.failures.append(SourceFailure(addresses.redact(name), str(error)))

    def _add_manifest(self, uri: str) -> None:
        if uri in self.manifests:  # named twice, or by itself
            return
        self.manifests.add(uri)
        names = read_manifest(uri)
        for name in names:
            self.add(name, addresses.parent(uri))

    def _add_file(self, found: Found) -> None:
        key = (found.kind, addresses.parent(found.uri) if found.kind == "images" else found.uri)
        group = self.groups.setdefault(key, _Group(found.kind))
        if group.files.setdefault(found.uri, found.fingerprint) != found.fingerprint:
            self._check_same(found, group)
        group.explicit &= found.explicit

    def _check_same(self, found: Found, group: _Group) -> None:
        """Refuse a file whose address differs from another one's in a secret only: in the results they were one."""
        if isinstance(found.uri, addresses.Address):
            raise GcposeError(
                f"{found.uri} stands for two files whose links differ only in parameters that count as secret; give "
                "them addresses that differ in something else"
            )

    def sources(self) -> list[SourceSpec]:
        return [_source(uri, group) for (_, uri), group in self.groups.items()]


def _source(uri: str, group: _Group) -> SourceSpec:
    if group.kind == "video":
        return SourceSpec(source_id(uri), uri, "video", (), _digest([group.files[uri]]))
    files = tuple(sorted(group.files, key=natural_order))
    if len(files) == 1 and group.explicit:
        uri = files[0]
    return SourceSpec(source_id(uri), uri, "images", files, _digest(_lines(files, group)))


def _lines(files: Iterable[str], group: _Group) -> Iterator[str]:
    for file in files:
        yield file
        yield group.files[file]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()


def source_id(uri: str) -> str:
    """Return a source's short name: at most 40 characters of its own, a dash, and 12 of the address's SHA-256."""
    name = PurePosixPath(uri.split("?")[0].rstrip("/"))
    words = re.sub(r"[^a-z0-9]+", "-", name.stem.lower()).strip("-")[:40].strip("-")
    digest = hashlib.sha256(uri.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{words or 'source'}-{digest}"
