"""What a machine is, on recorded ones."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gcpose_trt.benchmark.environment import facts, machine_id
from gcpose_trt.benchmark.environment.arm import cores
from gcpose_trt.benchmark.environment.limits import memory_limit
from gcpose_trt.doctor.probe import Inspection, Output
from tests.benchmark.environment import machines
from tests.benchmark.environment.machines import Machine
from tests.benchmark.environment.stand_in import Library
from tests.doctor.recorded import altered


def test_desktop(nvml: Library) -> None:
    found = facts(machines.desktop())
    assert found["cpu"] == "Intel(R) Core(TM) i7-12700K CPU @ 3.60GHz"
    assert found["cores"] == {
        "physical": 2,
        "logical": 4,
        "affinity": 4,
        "quota": None,
        "usable": 4,
        "smt": True,
    }
    assert found["governor"] == "powersave"
    assert found["clocks"]["boost"] is True
    assert (found["clocks"]["min_mhz"], found["clocks"]["limit_max_mhz"]) == (800, 4900)
    assert found["memory_bytes"] == 32658420 << 10
    assert found["cpu_generation"] is None
    assert found["gpus"] == [
        {
            "name": "NVIDIA GeForce RTX 4090",
            "compute_capability": "8.9",
            "memory_bytes": 25757220864,
            "power_limit_watts": 450.0,
            "clock_max_mhz": 3105,
            "memory_clock_max_mhz": 10501,
            "integrated": False,
        }
    ]
    assert (found["driver"], found["cuda"]) == ("580.82.07", "13.0")
    assert found["energy_sensors"] == ["RAPL psys", "RAPL package-0", "RAPL package-0 dram", "NVML GPU 0"]
    assert (found["power_mode"], found["on_battery"]) == ("balanced", False)
    assert found["container"] is None and found["hypervisor"] is None
    assert found["versions"]["onnxruntime"] == "1.23.2"
    assert found["absent"] == {"Jetson rails": "this is no Jetson"}
    assert nvml.opened == 0


def test_desktop_without_nvidia_ml_py_asks_nvidia_smi() -> None:
    probe = machines.desktop()
    del probe.modules["pynvml"]
    probe.files["/usr/bin/nvidia-smi"] = ""
    row = "NVIDIA GeForce RTX 4090, 24564, 450.00, 3105, [N/A], 580.82.07"
    probe.commands = {"nvidia-smi --query-gpu=name,memory.total*": machines.smi(row)}
    found = facts(probe)
    assert found["gpus"][0] == {
        "name": "NVIDIA GeForce RTX 4090",
        "memory_bytes": 24564 << 20,
        "power_limit_watts": 450.0,
        "clock_max_mhz": 3105,
        "memory_clock_max_mhz": None,
        "compute_capability": "8.9",
        "integrated": False,
    }
    assert found["driver"] == "580.82.07"
    assert "gcpose-trt[benchmark]" in found["absent"]["NVML"]


def test_orin() -> None:
    found = facts(machines.orin())
    assert found["cpu"] == "6 x Cortex-A78AE"
    assert found["jetson"] == {
        "name": "NVIDIA Jetson Orin Nano Developer Kit",
        "l4t": "36.4.3",
        "jetpack": "6.2",
        "clocks_fixed": False,
    }
    assert found["power_mode"] == "MAXN_SUPER"
    assert found["gpus"][0]["name"] == "Orin" and found["gpus"][0]["integrated"]
    assert found["gpus"][0]["clock_max_mhz"] == 1020
    assert found["energy_sensors"] == ["Jetson VDD_IN", "Jetson VDD_CPU_GPU_CV", "Jetson VDD_SOC"]
    assert "rail" in found["absent"]["NVML"] and "x86" in found["absent"]["RAPL"]


def test_jetson_clocks_hold_every_clock() -> None:
    probe = machines.orin()
    probe.files |= machines.policy(0, "schedutil", 115200, 1728000, (1728000, 1728000))
    assert facts(probe)["jetson"]["clocks_fixed"] is False
    probe.files["/sys/class/devfreq/17000000.gpu/min_freq"] = "1020000000\n"
    assert facts(probe)["jetson"]["clocks_fixed"] is True


def test_xavier_in_a_container_takes_the_mode_from_its_files() -> None:
    found = facts(machines.xavier())
    assert found["cpu"] == "8 x Carmel"
    assert found["power_mode"] == "MODE_30W_ALL"
    assert found["jetson"]["clocks_fixed"] is True
    assert found["jetson"]["jetpack"] == "5.1.4"
    assert found["container"] == "docker"
    assert found["energy_sensors"] == []
    assert "on the host" in found["absent"]["Jetson rails"]


def test_nvpmodel_that_fails_after_its_answer() -> None:
    probe = machines.orin()
    errors = "NVPM ERROR: Error opening /sys/kernel/nvpmodel_emc_cap/emc_iso_cap: 13\n"
    probe.commands["nvpmodel -q"] = Output(255, "NV Fan Mode:quiet\nNV Power Mode: MODE_15W_6CORE\n2\n", errors)
    assert facts(probe)["power_mode"] == "MODE_15W_6CORE"
    probe.commands["nvpmodel -q"] = Output(None, problem="timeout")
    found = facts(probe)
    assert found["power_mode"] is None and "timeout" in found["absent"]["power_mode"]


def test_raspberry() -> None:
    found = facts(machines.raspberry())
    assert found["cpu"] == "4 x Cortex-A76"
    assert found["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert found["governor"] == "ondemand"
    assert found["gpus"] == [] and found["driver"] is None
    assert found["hypervisor"] is None
    assert set(found["absent"]) == {"gpus", "power_mode", "Jetson rails", "RAPL", "NVML"}
    assert "abcdef01" not in json.dumps(found)


def test_container_with_limits() -> None:
    found = facts(machines.container())
    assert found["cores"]["quota"] == found["cores"]["usable"] == 2.5
    assert found["cores"]["affinity"] == 16
    assert found["memory_limit_bytes"] == 6 << 30
    assert found["container"] == "kubernetes" and found["hypervisor"] == "unnamed"
    assert found["absent"]["RAPL"] == "a virtual machine does not show it"
    assert "virtual machine" in found["absent"]["governor"]


def test_control_groups_of_version_1() -> None:
    probe = machines.desktop()
    big = "9223372036854771712\n"
    probe.files |= {
        "/proc/self/cgroup": "4:memory:/jobs/a\n2:cpu,cpuacct:/jobs/a\n0::/\n",
        "/sys/fs/cgroup/cpu,cpuacct/jobs/a/cpu.cfs_quota_us": "-1\n",
        "/sys/fs/cgroup/cpu,cpuacct/jobs/a/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us": "300000\n",
        "/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/memory/jobs/a/memory.limit_in_bytes": big,
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": big,
    }
    found = facts(probe)
    assert found["cores"]["quota"] == 3.0 and found["cores"]["usable"] == 3
    assert found["memory_limit_bytes"] is None
    assert memory_limit(probe) is None


def test_arm_core_that_is_not_known_is_asked_of_lscpu() -> None:
    probe = machines.raspberry()
    probe.files["/proc/cpuinfo"] = "CPU implementer\t: 0x41\nCPU part\t: 0xd99\n"
    assert facts(probe)["cpu"] == "1 x Arm core 0xd99"
    probe.commands["lscpu"] = Output(0, "Vendor ID:  ARM\nModel name:  Cortex-Z9\nModel:  1\n")
    assert facts(probe)["cpu"] == "Cortex-Z9"


def test_big_and_little_cores_are_counted() -> None:
    little, big = "CPU implementer : 0x41\nCPU part : 0xd05\n", "CPU implementer : 0x41\nCPU part : 0xd0b\n"
    assert cores(little * 4 + big * 2) == [("Cortex-A55", 4), ("Cortex-A76", 2)]
    assert cores("model name : AMD\n") == []


@pytest.mark.parametrize("make", machines.ALL)
def test_identity_is_of_speed_alone(make: Callable[[], Machine], no_driver: None) -> None:
    found = facts(make())
    assert facts(make())["machine_id"] == found["machine_id"] == machine_id(found)
    moved = make()
    moved.files |= {"/etc/hostname": "another\n", "/proc/loadavg": "3.00 1.00 1.00 1/2 3\n"}
    # The kernel of tomorrow keeps a little more memory.
    text = moved.files["/proc/meminfo"]
    total = int(text.split()[1])
    moved.files["/proc/meminfo"] = text.replace(str(total), str(total - 20000))
    assert facts(moved)["machine_id"] == found["machine_id"]


def test_identity_changes_with_what_decides_speed(nvml: Library) -> None:
    ids = {facts(make())["machine_id"] for make in machines.ALL}
    assert len(ids) == len(machines.ALL)
    slower = altered(machines.orin(), commands={"nvpmodel -q": Output(0, "NV Power Mode: 15W\n0\n")})
    newer = machines.container()
    newer.files["/proc/cpuinfo"] += "cpu family\t: 25\nmodel\t\t: 17\n"
    fewer = altered(machines.desktop(), files={"/sys/fs/cgroup/cpu.max": "200000 100000\n"})
    nvml.cards = []
    cardless = altered(machines.desktop(), inspections={"cuda_driver": Inspection({"found": False})})
    assert not ids & {facts(probe)["machine_id"] for probe in (slower, newer, fewer, cardless)}


def test_identity_counts_memory_that_is_shared_once() -> None:
    found = facts(machines.orin())
    shared = {**found["gpus"][0], "memory_bytes": 3 << 30}
    assert machine_id({**found, "gpus": [shared]}) == found["machine_id"]
    assert machine_id({**found, "gpus": [{**shared, "integrated": False}]}) != found["machine_id"]


@pytest.mark.parametrize("make", machines.ALL)
def test_report_of_facts_is_json(make: Callable[[], Machine], no_driver: None) -> None:
    assert json.loads(json.dumps(facts(make()))) == facts(make())


def test_machine_of_errors_gives_reasons() -> None:
    found = facts(machines.Broken())
    assert found["cpu"] is None and found["gpus"] == [] and found["energy_sensors"] == []
    assert "Input/output error" in found["absent"]["cpu"]
    assert {"gpus", "memory", "cores", "versions", "python"} <= set(found["absent"])


def test_this_machine() -> None:
    found = facts()
    assert found["cpu"] and found["cores"]["usable"] > 0 and found["memory_bytes"] > 0
    for name in ("governor", "power_mode"):
        assert found[name] or found["absent"][name]
    assert found["gpus"] or found["absent"]["gpus"]
