"""Recorded machines of the benchmark: the doctor's, with what tells clocks, temperatures and power.

The texts have the form that real machines give: the kernel's documentation, NVIDIA's, and lines that users published.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from gcpose_trt.doctor.probe import Inspection, Interpreter, Output, Probe
from tests.doctor import recorded

CPUS = "/sys/devices/system/cpu"
RAPL = "/sys/class/powercap"
CGROUP = {"/proc/self/cgroup": "0::/user.slice/session-2.scope\n"}
_NO_CUDA = Inspection({"found": False, "reason": "libcuda.so.1: cannot open shared object file"})


@dataclass
class Machine(recorded.RecordedProbe):
    """A recorded machine whose closed files cannot be read.

    Attributes:
        programs: path by command, for programs that a test brings.
    """

    programs: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str | None:
        return None if path in self.closed else super().read(path)

    def which(self, command: str) -> str | None:
        return self.programs.get(command) or super().which(command)


def made_of(probe: recorded.RecordedProbe, **changes: Any) -> Machine:
    """Return a machine of the doctor as one of ours."""
    names = probe.__dataclass_fields__
    return replace(Machine(**{name: getattr(probe, name) for name in names}), **changes)


def policy(number: int, governor: str, low: int, high: int, limits: tuple[int, int] | None = None) -> dict[str, str]:
    """cpufreq's files of a group of cores; clocks in kHz."""
    folder = f"{CPUS}/cpufreq/policy{number}"
    floor, ceiling = limits or (low, high)
    return {
        f"{folder}/scaling_governor": f"{governor}\n",
        f"{folder}/scaling_driver": "intel_pstate\n",
        f"{folder}/cpuinfo_min_freq": f"{low}\n",
        f"{folder}/cpuinfo_max_freq": f"{high}\n",
        f"{folder}/scaling_min_freq": f"{floor}\n",
        f"{folder}/scaling_max_freq": f"{ceiling}\n",
    }


def domain(folder: str, name: str, energy: int, span: int = 262143328850) -> dict[str, str]:
    """RAPL's files of a domain, "intel-rapl:0"."""
    return {
        f"{RAPL}/{folder}/name": f"{name}\n",
        f"{RAPL}/{folder}/energy_uj": f"{energy}\n",
        f"{RAPL}/{folder}/max_energy_range_uj": f"{span}\n",
    }


def desktop() -> Machine:
    """Two cores of two threads, RAPL, an RTX 4090, all of it told."""
    probe = made_of(recorded.desktop())
    for cpu in range(4):
        folder = f"{CPUS}/cpu{cpu}"
        core = cpu // 2
        probe.files |= {
            f"{folder}/topology/thread_siblings_list": f"{2 * core}-{2 * core + 1}\n",
            f"{folder}/topology/core_siblings_list": "0-3\n",
            f"{folder}/thermal_throttle/core_throttle_count": f"{10 + core}\n",
            f"{folder}/thermal_throttle/package_throttle_count": "30\n",
        }
    probe.files |= {
        "/proc/cpuinfo": "".join(
            f"{recorded.CPUINFO_X86.splitlines()[0]}\ncpu MHz\t\t: {mhz}\nflags\t\t: fpu avx2\n\n"
            for mhz in ("800.012", "4900.100", "1200.000", "3600.000")
        ),
        "/proc/loadavg": "0.12 0.20 0.30 1/812 4711\n",
        "/proc/meminfo": "MemTotal:       32658420 kB\nMemAvailable:   29316412 kB\n",
        f"{CPUS}/online": "0-3\n",
        f"{CPUS}/smt/active": "1\n",
        f"{CPUS}/intel_pstate/no_turbo": "0\n",
        "/sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
        "/sys/class/thermal/thermal_zone0/temp": "41000\n",
        "/sys/class/thermal/thermal_zone1/type": "iwlwifi_1\n",
        "/sys/class/thermal/thermal_zone1/temp": "50000\n",
        "/sys/class/thermal/cooling_device0/type": "Processor\n",
        "/sys/class/thermal/cooling_device0/cur_state": "0\n",
        "/sys/class/thermal/cooling_device0/max_state": "10\n",
        "/sys/class/hwmon/hwmon3/name": "coretemp\n",
        "/sys/class/hwmon/hwmon3/temp1_input": "42000\n",
        "/sys/class/hwmon/hwmon3/temp1_label": "Package id 0\n",
        "/sys/class/hwmon/hwmon3/temp2_input": "39000\n",
        "/sys/class/hwmon/hwmon3/temp2_label": "Core 0\n",
        "/sys/firmware/acpi/platform_profile": "balanced\n",
        "/sys/class/power_supply/AC/type": "Mains\n",
        "/sys/class/power_supply/AC/online": "1\n",
        **CGROUP,
        **policy(0, "powersave", 800000, 4900000),
        **policy(2, "powersave", 800000, 4800000),
        **domain("intel-rapl:0", "package-0", 262143000000),
        **domain("intel-rapl:0:0", "core", 5),
        **domain("intel-rapl:0:1", "dram", 1000000, 65712999613),
        **domain("intel-rapl:1", "psys", 7),
    }
    probe.modules["pynvml"] = "/app/.venv/pynvml.py"
    probe.python = Interpreter("3.12.3", "/app/python", None, False, "x86_64", "6.8.0-45-generic", 4)
    return probe


def rails(number: int, *labels: tuple[str, int, int]) -> dict[str, str]:
    """An INA3221 as hwmon shows it; (label, millivolts, milliamperes) of each channel."""
    folder = f"/sys/class/hwmon/hwmon{number}"
    files = {f"{folder}/name": "ina3221\n", f"{folder}/in7_label": "sum of shunt voltages\n"}
    for channel, (label, volts, amperes) in enumerate(labels, 1):
        files |= {
            f"{folder}/in{channel}_label": f"{label}\n",
            f"{folder}/in{channel}_input": f"{volts}\n",
            f"{folder}/in{channel}_enable": "1\n",
            f"{folder}/curr{channel}_input": f"{amperes}\n",
            f"{folder}/curr{channel}_crit_alarm": "0\n",
            f"{folder}/curr{channel}_max_alarm": "0\n",
        }
    return files


def orin() -> Machine:
    """An Orin Nano with JetPack 6, its clocks following the load."""
    probe = made_of(recorded.orin(6))
    probe.files |= {
        "/proc/cpuinfo": (
            "processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n\n"
        )
        * 6,
        "/proc/loadavg": "0.80 0.20 0.30 1/812 4711\n",
        f"{CPUS}/online": "0-5\n",
        **policy(0, "schedutil", 115200, 1728000, (729600, 1728000)),
        f"{CPUS}/cpu0/cpufreq/scaling_cur_freq": "1344000\n",
        f"{CPUS}/cpu1/cpufreq/scaling_cur_freq": "729600\n",
        "/sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "/sys/class/thermal/thermal_zone0/temp": "50281\n",
        # A block that is switched off answers with an error.
        "/sys/class/thermal/thermal_zone2/type": "cv0-thermal\n",
        "/sys/class/thermal/cooling_device1/type": "pwm-fan\n",
        "/sys/class/thermal/cooling_device1/cur_state": "2\n",
        "/sys/class/thermal/cooling_device2/type": "cpu-throttle-alert\n",
        "/sys/class/thermal/cooling_device2/cur_state": "0\n",
        "/sys/class/thermal/cooling_device2/max_state": "1\n",
        "/sys/class/hwmon/hwmon4/name": "soctherm_oc\n",
        "/sys/class/hwmon/hwmon4/oc1_event_cnt": "0\n",
        "/sys/class/hwmon/hwmon4/oc3_event_cnt": "37\n",
        "/sys/devices/platform/gpu.0/load": "432\n",
        **rails(1, ("VDD_IN", 5016, 960), ("VDD_CPU_GPU_CV", 5016, 104), ("VDD_SOC", 5016, 290)),
    }
    return probe


XAVIER_LINE = (
    "RAM 2468/31920MB (lfb 6531x4MB) SWAP 0/15960MB (cached 0MB) CPU [0%@1190,1%@1190,0%@1190,off] EMC_FREQ 0%@1331 "
    "GR3D_FREQ 0%@114 VIC_FREQ 115 APE 150 AUX@36C CPU@36.5C thermal@35.7C Tboard@37C GPU@35C PMIC@50C "
    "GPU 467mW/467mW CPU 467mW/467mW SOC 1245mW/1245mW CV 0mW/0mW VDDRQ 311mW/311mW SYS5V 2768mW/2768mW"
)


def xavier() -> Machine:
    """An AGX Xavier with JetPack 5 in a container without sysfs's monitors: tegrastats alone tells its power."""
    probe = made_of(recorded.orin(5))
    folder = "/sys/class/devfreq/17000000.gpu"
    for name in ("cur", "min", "max"):
        del probe.files[f"{folder}/{name}_freq"]
        probe.files[f"/sys/class/devfreq/17000000.gv11b/{name}_freq"] = "1377000000\n"
    for name in [name for name in probe.files if name.startswith(f"{CPUS}/cpu0/cpufreq")]:
        del probe.files[name]
    cpuinfo = "model name\t: ARMv8 Processor rev 0 (v8l)\nCPU implementer\t: 0x4e\nCPU part\t: 0x004\n\n"
    probe.files |= {
        "/proc/device-tree/model": "Jetson-AGX\0",
        "/proc/device-tree/compatible": "nvidia,p2972-0000\0nvidia,tegra194\0",
        "/proc/cpuinfo": cpuinfo * 8,
        "/proc/loadavg": "0.05 0.20 0.30 1/812 4711\n",
        "/.dockerenv": "",
        "/var/lib/nvpmodel/status": "pmode:0003 fmode:quiet\n",
        "/etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=3 NAME=MODE_30W_ALL >\n",
        **policy(0, "schedutil", 115200, 2265600, (1190400, 1190400)),
    }
    del probe.commands["nvpmodel -q"]
    return probe


def raspberry() -> Machine:
    """A Raspberry Pi 5: its processor has no name, its firmware tells what slows it."""
    cpuinfo = "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\n" * 4
    return Machine(
        files={
            "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
            "/proc/cpuinfo": f"{cpuinfo}Serial\t\t: 10000000abcdef01\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
            "/proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "/proc/device-tree/serial-number": "10000000abcdef01\0",
            "/proc/meminfo": "MemTotal:        8255104 kB\nMemAvailable:    7255104 kB\n",
            "/proc/loadavg": "0.02 0.20 0.30 1/212 4711\n",
            f"{CPUS}/online": "0-3\n",
            "/sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "/sys/class/thermal/thermal_zone0/temp": "83450\n",
            "/sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "e0008\n",
            f"{CPUS}/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
            **policy(0, "ondemand", 1500000, 2400000),
            **CGROUP,
        },
        inspections={"cuda_driver": _NO_CUDA},
        python=Interpreter("3.11.2", "/usr/bin/python3", None, False, "aarch64", "6.6.31+rpt-rpi-2712", 4),
    )


def container() -> Machine:
    """A container with two and a half processors' time and 6 GiB, on a virtual machine that tells nothing else."""
    return Machine(
        files={
            "/etc/os-release": 'PRETTY_NAME="Alpine Linux v3.20"\n',
            "/proc/cpuinfo": "model name\t: AMD EPYC 7B13\ncpu MHz\t\t: 2449.998\nflags\t\t: fpu hypervisor\n",
            "/proc/meminfo": "MemTotal:       65843208 kB\nMemAvailable:   60843208 kB\n",
            "/proc/self/cgroup": "0::/../kubepods/pod1\n",
            "/sys/fs/cgroup/cpu.max": "250000 100000\n",
            "/sys/fs/cgroup/memory.max": "6442450944\n",
            "/.dockerenv": "",
        },
        inspections={"cuda_driver": _NO_CUDA},
        variables={"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
        python=Interpreter("3.12.3", "/usr/bin/python3", None, False, "x86_64", "6.1.0", 16),
    )


ALL = [desktop, orin, xavier, raspberry, container]


def smi(*rows: str) -> Output:
    """What nvidia-smi prints."""
    return Output(0, "".join(f"{row}\n" for row in rows))


class Broken(Probe):
    """A machine whose every answer is an error."""

    def __getattribute__(self, name: str) -> object:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        raise OSError(5, f"Input/output error at {name}")
