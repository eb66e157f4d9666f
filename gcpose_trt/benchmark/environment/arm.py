"""Names of Arm cores: /proc/cpuinfo gives numbers only.

The numbers are fields of the register MIDR_EL1 as the makers document them; only cores that this project may meet on
single-board computers, Jetsons and servers are listed, others are told by their numbers.
"""

from __future__ import annotations

import re
from collections import Counter

_MAKERS = {0x41: "Arm", 0x42: "Broadcom", 0x4E: "NVIDIA", 0x51: "Qualcomm", 0x61: "Apple", 0xC0: "Ampere"}
_CORES = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD83): "Neoverse-V3AE",
    (0x41, 0xD84): "Neoverse-V3",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
}


def cores(cpuinfo: str) -> list[tuple[str, int]]:
    """Return the kinds of cores in /proc/cpuinfo and how many there are of each, the most frequent first.

    Args:
        cpuinfo: text of /proc/cpuinfo.

    Returns:
        [("Cortex-A76", 4), ...]; "Arm core 0xd99" where the number is not known; empty on other processors.
    """
    makers = re.findall(r"^CPU implementer\s*:\s*(0x[0-9a-fA-F]+)", cpuinfo, re.MULTILINE)
    parts = re.findall(r"^CPU part\s*:\s*(0x[0-9a-fA-F]+)", cpuinfo, re.MULTILINE)
    names = []
    for maker, part in zip(makers, parts, strict=False):
        pair = int(maker, 16), int(part, 16)
        unknown = f"{_MAKERS.get(pair[0], f'maker {pair[0]:#04x}')} core {pair[1]:#05x}"
        names.append(_CORES.get(pair, unknown))
    return Counter(names).most_common()
