"""What confines this process: control groups, containers, virtual machines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.benchmark.environment.reading import integer, known, text
from gcpose_trt.doctor.probe import Probe

_ROOT = "/sys/fs/cgroup"
# Version 1 says "no limit" with the largest number of pages that fits.
_UNLIMITED = 1 << 60
_CONTAINERS = ("docker", "podman", "libpod", "kubepods", "containerd", "lxc")


def cpu_quota(probe: Probe) -> float | None:
    """Return how many processors' time the control group may use, the tightest of its parents; None: no limit."""
    quotas = []
    for folder in _folders(probe, "cpu"):
        words = (text(probe, f"{folder}/cpu.max") or "").split()
        if len(words) == 2 and all(word.isdigit() for word in words):
            quotas.append(int(words[0]) / int(words[1]))
        quota, period = (integer(probe, f"{folder}/cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota and period and quota > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def memory_limit(probe: Probe) -> int | None:
    """Return the bytes of memory that the control group may use; None: no limit."""
    names = "memory.max", "memory.limit_in_bytes"
    limits = known(integer(probe, f"{folder}/{name}") for folder in _folders(probe, "memory") for name in names)
    return min((limit for limit in limits if limit < _UNLIMITED), default=None)


def _folders(probe: Probe, controller: str) -> Iterator[str]:
    """Yield the folders of this process's group and of its parents: a limit of any of them binds.

    A container without a namespace of its own sees the host's path, which is not there; its root then is its group.
    """
    for line in (probe.read("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            roots = [_ROOT, f"{_ROOT}/unified"]
        elif controller in controllers.split(","):
            roots = [f"{_ROOT}/{controllers}", f"{_ROOT}/{controller}"]
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for root in roots:
            for depth in range(len(parts), -1, -1):
                yield "/".join([root, *parts[:depth]])


def container(probe: Probe) -> str | None:
    """Return the kind of container that this process runs in, "docker"; None outside of one."""
    if (told := text(probe, "/run/systemd/container") or probe.env("container")) is not None:
        return told
    if probe.env("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if probe.exists("/run/.containerenv"):
        return "podman"
    if probe.exists("/.dockerenv"):
        return "docker"
    groups = probe.read("/proc/1/cgroup") or ""
    return next((name for name in _CONTAINERS if name in groups), None)


def hypervisor(probe: Probe) -> str | None:
    """Return what the machine is virtual with, as far as it says ("QEMU", "unnamed"); None: a machine of its own."""
    if "microsoft" in probe.interpreter().kernel.lower():
        return "WSL"
    flags = re.search(r"^flags\s*:(.*)$", probe.read("/proc/cpuinfo") or "", re.MULTILINE)
    maker = " ".join(known(text(probe, f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")))
    if (kind := text(probe, "/sys/hypervisor/type")) is not None:
        return kind
    if probe.exists("/proc/device-tree/hypervisor"):
        return text(probe, "/proc/device-tree/hypervisor/compatible") or "unnamed"
    if flags:
        return (maker or "unnamed") if "hypervisor" in flags[1].split() else None
    # Arm processors have no such flag; there the maker's name alone tells.
    return maker if re.search(r"QEMU|VMware|VirtualBox|Virtual Machine|Amazon EC2|Google Compute|KVM", maker) else None
