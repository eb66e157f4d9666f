"""What was run, where and when, in a few lines."""

from __future__ import annotations

import re

from gcpose_trt.benchmark.reporting.view import View
from gcpose_trt.benchmark.reporting.words import clean, look, number, plain, plural, text, whole


def title(view: View) -> str:
    """Return the title: "gcpose-trt benchmark: cpu"."""
    return f"gcpose-trt benchmark: {suite(view)}"


def suite(view: View) -> str:
    """Return the suite's name."""
    return clean(look(view.get("suite"), "name") or "without a name", 80)


def machine(view: View) -> str:
    """Return the machine in one line: processor, cores, GPUs."""
    known = view.get("environment")
    parts = [text(look(known, "cpu"))]
    physical, usable = (number(look(known, "cores", name)) for name in ("physical", "usable"))
    if physical:
        parts.append(plural(int(physical), "core"))
    if usable and usable != physical:
        parts.append(f"{usable:g} usable at once")
    gpus = look(known, "gpus")
    for gpu in gpus if isinstance(gpus, list) else []:
        parts.append(clean(look(gpu, "name") or plain(gpu), 80))
    jetson = look(known, "jetson")
    if jetson:
        parts.append(clean(look(jetson, "name") or plain(jetson), 80))
    mode = look(known, "power_mode")
    if mode:
        parts.append(f"power mode {clean(look(mode, 'name') or plain(mode), 40)}")
    return ", ".join(parts)


def facts(view: View) -> list[tuple[str, str]]:
    """Return (what, value) pairs: machine, time, commit, frames, command."""
    rows = [("machine", machine(view)), ("date", when(view)), ("commit", text(view.get("commit")))]
    clip = view.get("clip")
    if clip:
        size = f"{whole(look(clip, 'width'))} × {whole(look(clip, 'height'))}"
        rows.append(("frames", f"{whole(look(clip, 'frames'))} of {text(look(clip, 'name'))}, {size} pixels"))
    rows.append(("command", text(view.get("command"))))
    return rows


def when(view: View) -> str:
    """Return the first session's start and the last one's end."""
    times = [str(session.get(key) or "") for session in view.sessions for key in ("started", "ended")]
    known = [found for found in (_minute(time) for time in times) if found]
    if not known:
        return text(None)
    first, last = known[0], known[-1]
    if first == last:
        return f"{first} UTC"
    return f"{first} to {last[11:] if last[:10] == first[:10] else last} UTC"


def _minute(time: str) -> str:
    found = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)", time)
    return f"{found[1]} {found[2]}" if found else ""
