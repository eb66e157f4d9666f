"""Finding the key frames at which a video is cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import av
from av.format import Flags

from gcpose_trt.video.segments.clip import Clip
from gcpose_trt.video.segments.reading import Notes, within

_UNCUT = frozenset({"gif", "apng"})  # each frame is drawn over those before
# As FFmpeg calls them. What it has of others is what it happened to see on the way.
_INDEXED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"})


@dataclass(frozen=True)
class _Key:
    """A key frame that might be one to cut at.

    Attributes:
        time: in ticks; of decoding or of showing, whichever the container's index has, for choosing only.
        pts: when it is shown, in ticks; None where only a look at the packet tells.
        position: byte in the file; None where nothing says.
    """

    time: int
    pts: int | None
    position: int | None


def find_cuts(clip: Clip, seconds: float) -> list[int]:
    """Return where to cut a video into parts of about a length.

    The container's own index of key frames is used where it has a full one, so that of a file far away only a little
    is read; otherwise all packets are looked at, without decoding them. Each place is then tried: a part is only made
    where decoding that begins there shows, as its first frame, the key frame itself (after a "key frame" of a stream
    with gradual refresh, for one, it does not).

    Args:
        clip: a video, whatever was read of it. It is left somewhere.
        seconds: wanted length of a part, > 0. Parts are longer where key frames are farther apart.

    Returns:
        Time stamps of showing of key frames, rising, without that of the first. None of them: it is to be read in one
        piece, because there is no key frame to cut at, or time stamps are missing or not in order.
    """
    if clip.container.format.name in _UNCUT or clip.container.format.flags & Flags.no_timestamps.value:
        return []
    keys = _indexed(clip)
    if keys is None:
        keys = _scanned(clip)
    cuts: list[int] = []
    for key in _near_multiples(keys, seconds / clip.time_base):
        pts = _try(clip, key)
        if pts is not None and (not cuts or pts > cuts[-1]):
            cuts.append(pts)
    return cuts


def _near_multiples(keys: list[_Key], ticks: float) -> Iterable[_Key]:
    """Yield, for each multiple of `ticks` after the first key frame, the key frame that is closest to it, if any is."""
    if not keys:
        return
    first = keys[0].time
    later = keys[1:]
    for multiple, group in itertools.groupby(later, lambda key: round((key.time - first) / ticks)):
        if multiple > 0:
            yield min(group, key=lambda key: abs(key.time - first - multiple * ticks))


def _indexed(clip: Clip) -> list[_Key] | None:
    """Return the key frames of the container's index; None if it has none or not all."""
    if clip.container.format.name not in _INDEXED or not hasattr(clip.stream, "index_entries"):  # PyAV 17 has none
        return None
    next(clip.packets_from(0), None)  # Matroska reads its index at the first seek
    entries = [(entry.timestamp, entry.is_keyframe, entry.is_discard) for entry in clip.stream.index_entries]
    if len(entries) < 2:
        return None
    times = [entry[0] for entry in entries]
    if any(later <= time for time, later in itertools.pairwise(times)):
        return None
    if not _covers(clip, (times[-1] - times[0]) * len(times) / (len(times) - 1)):
        return None
    return [_Key(time, None, None) for time, is_key, gone in entries if is_key and not gone]


def _covers(clip: Clip, ticks: float) -> bool:
    """Say whether an index that spans so many ticks reaches the end. Fragmented files only have that of a fragment."""
    if clip.stream.duration:
        whole = clip.stream.duration * clip.time_base
    elif clip.container.duration:
        whole = clip.container.duration / av.time_base
    else:
        return False
    return ticks * clip.time_base >= 0.8 * whole


def _scanned(clip: Clip) -> list[_Key]:
    """Return the key frames that a look at all packets finds; none if the time stamps are not to be trusted."""
    keys: list[_Key] = []
    seen: set[int] = set()
    # Damage ends this early; whoever reads the last part will say so.
    for packet in clip.all_packets():
        if packet.pts is None or packet.pts in seen:
            return []
        seen.add(packet.pts)
        if packet.is_keyframe:
            if keys and packet.pts <= keys[-1].time:
                return []
            keys.append(_Key(packet.pts, packet.pts, packet.pos))
    clip.restart()  # forgets what it saw: readers, who will not have seen it, seek without
    # A packet that does not begin where one of the container's does has a time stamp that is reckoned from others'.
    return keys[:1] + [key for key in keys[1:] if key.position is not None]


def _try(clip: Clip, key: _Key) -> int | None:
    """Return when a key frame is shown if a part can begin there."""
    pts = _shown_at(clip, key.time) if key.pts is None else key.pts
    packets = None if pts is None else clip.enter(pts, patient=False)
    if packets is None:
        return None
    entry = next(packets)
    if key.position is not None and entry.pos != key.position:
        return None
    shown = next(within(itertools.chain([entry], packets), pts, None, Notes()), None)
    return pts if shown is not None and shown.pts == pts else None


def _shown_at(clip: Clip, time: int) -> int | None:
    """Return the time stamp of showing of the key frame that the index has under a time, which may be of decoding."""
    # MP4 seeks by showing, and has decoding in its index: the difference saves reading a whole group of pictures.
    first = next(clip.packets_from(0), None)
    delay = max(0, first.pts - first.dts) if first and first.pts is not None and first.dts is not None else 0
    for place in (time + delay, time):
        for packet in clip.packets_from(place):
            if packet.is_keyframe and packet.pts is not None and time in (packet.dts, packet.pts):
                return int(packet.pts)
            if packet.dts is not None and packet.dts > time:
                break
    return None
