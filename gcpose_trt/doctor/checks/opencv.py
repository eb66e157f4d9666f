"""OpenCV: which of its packages is there, whether it loads, and what it was built with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gcpose_trt.doctor.check import Check, green, red, yellow
from gcpose_trt.doctor.checks.python import OPENCVS
from gcpose_trt.doctor.machine import JETSON, Situation


def check(situation: Situation) -> Iterator[Check]:
    """Load OpenCV and read its build."""
    probe = situation.probe
    installed = probe.packages()
    owners = [name for name in OPENCVS if name in installed]
    if not owners and probe.module("cv2") is None:
        yield red("OpenCV", "not installed", "pip install opencv-python-headless", owners=[])
        return
    result = probe.inspect("opencv")
    if result.error:
        yield red("OpenCV", f"cannot be loaded: {result.error}", _remedy(owners), owners=owners)
        return
    version, build = str(result.facts["version"]), str(result.facts["build"])
    gstreamer, ffmpeg, gui = field(build, "GStreamer"), field(build, "FFMPEG"), field(build, "GUI")
    facts = {
        "version": version,
        "file": result.facts["file"],
        "owners": owners,
        "gstreamer": gstreamer,
        "ffmpeg": ffmpeg,
        "gui": gui,
    }
    owner = owners[0] if len(owners) == 1 else "no pip package" if not owners else f"{len(owners)} packages"
    text = f"{version} ({owner}) {_abilities({'FFmpeg': ffmpeg, 'GStreamer': gstreamer, 'windows': gui})}"
    if len(owners) > 1:
        yield yellow(
            "OpenCV",
            f"{text}: {' and '.join(owners)} write the same folder, the one installed last wins",
            _remedy(owners),
            **facts,
        )
    elif gstreamer == "no" and situation.machine.kind == JETSON and _csi_cameras(situation):
        yield yellow(
            "OpenCV",
            f"{text}: a CSI camera is read through GStreamer",
            f"pip uninstall -y {' '.join(owners)}; sudo apt install python3-opencv",
            **facts,
        )
    else:
        yield green("OpenCV", text, **facts)


def _abilities(values: dict[str, str]) -> str:
    have = [f"{name} ({value})" if value != "yes" else name for name, value in values.items() if value != "no"]
    lacks = [name for name, value in values.items() if value == "no"]
    parts = [f"with {' and '.join(have)}"] if have else []
    parts += [f"without {' and '.join(lacks)}"] if lacks else []
    return ", ".join(parts)


def _remedy(owners: Sequence[str]) -> str:
    install = "pip install opencv-python-headless"
    # Taking one of two packages away also takes files of the other, hence all and then one.
    return f"pip uninstall -y {' '.join(owners)}; {install}" if owners else install


def field(build: str, name: str) -> str:
    """Return "yes", "no" or a short value of a line of OpenCV's build information; "no" if there is none."""
    match = re.search(rf"^\s*{re.escape(name)}:[ \t]*(\S.*)?$", build, re.MULTILINE)
    value = (match[1] or "").strip() if match else ""
    if match and not value:
        # GUI of older versions: a heading, its toolkits on the lines below.
        toolkits = re.findall(r"^\s+([\w+ ]+?):\s+YES", build[match.end() :].split("\n\n")[0], re.MULTILINE)
        return ", ".join(toolkits) or "no"
    word = value.split()[0] if value else "NO"
    return {"YES": "yes", "NO": "no", "NONE": "no"}.get(word, word)


def _csi_cameras(situation: Situation) -> bool:
    """CSI sensors hang on the Tegra's video input, USB cameras do not."""
    probe = situation.probe
    return any(
        (probe.read(path) or "").startswith("vi-output") for path in probe.paths("/sys/class/video4linux/video*/name")
    )
