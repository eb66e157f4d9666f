"""The machine at one moment, and what two moments tell."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from gcpose_trt.benchmark.environment import changes, snapshot
from gcpose_trt.benchmark.environment.nvml import slowed_by
from tests.benchmark.environment import machines
from tests.benchmark.environment.machines import CPUS, Machine
from tests.benchmark.environment.stand_in import Card, Library


def test_desktop(nvml: Library) -> None:
    found = snapshot(machines.desktop())
    assert found["load"] == 0.12
    assert found["cpu_mhz"] == {"min": 800.0, "median": 2400.0, "max": 4900.1}
    # Neither the wireless card nor single cores.
    assert found["temperatures"] == {"x86_pkg_temp": 41.0, "coretemp Package id 0": 42.0}
    # Threads of a core share its counter, cores of a package theirs.
    assert found["throttle_counts"] == {"CPU core over its temperature": 21, "CPU package over its temperature": 30}
    assert found["throttled"] == {}
    assert found["gpus"] == [
        {
            "name": "NVIDIA GeForce RTX 4090",
            "clock_mhz": 2520,
            "memory_clock_mhz": 10501,
            "temperature": 44,
            "power_watts": 120.5,
            "utilisation": 0.37,
            "memory_used_bytes": 300000000,
            "throttled": [],
        }
    ]
    assert found["memory_available_bytes"] == 29316412 << 10
    assert found["absent"] == {}
    assert nvml.opened == 0


def test_old_library_of_nvml(nvml: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.old, nvml.cards = True, [Card(reasons=0x4 | 0x20)]
    monkeypatch.setitem(sys.modules, "pynvml", nvml.module())
    found = snapshot(machines.desktop())
    assert found["gpus"][0]["name"] == "NVIDIA GeForce RTX 4090"
    assert found["throttled"] == {"GPU 0": "power limit, temperature, by the driver"}


def test_gpu_by_nvidia_smi() -> None:
    probe = machines.desktop()
    del probe.modules["pynvml"]
    probe.files["/usr/bin/nvidia-smi"] = ""
    row = "NVIDIA GeForce RTX 4090, 2100, 10501, 83, 449.92, 99, 5120, 0x0000000000000044"
    probe.commands = {"nvidia-smi*": machines.smi(row)}
    gpu = snapshot(probe)["gpus"][0]
    assert (gpu["clock_mhz"], gpu["temperature"], gpu["power_watts"]) == (2100, 83, 449.92)
    assert (gpu["utilisation"], gpu["memory_used_bytes"]) == (0.99, 5120 << 20)
    assert gpu["throttled"] == ["power limit", "temperature, by the hardware"]


def test_stand_in_offers_what_the_library_offers() -> None:
    library = pytest.importorskip("pynvml")
    for old in (False, True):
        names = [name for name in vars(Library(old=old).module()) if name.lower().startswith("nvml")]
        assert len(names) > 15
        assert [name for name in names if not hasattr(library, name)] == []


def test_idle_and_set_clocks_do_not_slow() -> None:
    assert slowed_by(0x1 | 0x2 | 0x100) == []
    assert slowed_by(None) == []


def test_orin() -> None:
    found = snapshot(machines.orin())
    assert found["cpu_mhz"] == {"min": 729.6, "median": 1036.8, "max": 1344.0}
    assert found["temperatures"] == {"cpu-thermal": 50.3}
    assert found["gpus"][0]["clock_mhz"] == 306 and found["gpus"][0]["utilisation"] == 0.432
    assert found["throttle_counts"] == {"Jetson under-voltage": 0, "Jetson peak over-current": 37}
    assert found["throttled"] == {}  # a fan that turns slows nothing


def test_orin_that_is_slowed() -> None:
    probe = machines.orin()
    probe.files["/sys/class/thermal/cooling_device2/cur_state"] = "1\n"
    probe.files["/sys/class/hwmon/hwmon1/curr1_crit_alarm"] = "1\n"
    assert snapshot(probe)["throttled"] == {
        "Jetson VDD_IN": "over its current limit",
        "cpu-throttle-alert 2": "slowed by temperature, step 1 of 1",
    }


def test_sensor_of_a_block_that_is_off_says_nothing() -> None:
    probe = machines.xavier()
    zone = "/sys/class/thermal/thermal_zone"
    probe.files |= {f"{zone}{n}/type": f"{name}\n" for n, name in enumerate(("CV0-therm", "CPU-therm", "CPU-therm"))}
    probe.files |= {f"{zone}{n}/temp": f"{value}\n" for n, value in enumerate((-256000, 44562, 45000))}
    assert snapshot(probe)["temperatures"] == {"CPU-therm": 44.6, "CPU-therm 2": 45.0}


def test_raspberry_is_slowed_now_and_was_before() -> None:
    found = snapshot(machines.raspberry())
    assert found["throttled"] == {"Raspberry Pi": "slowed by temperature"}
    assert found["throttle_counts"] == {
        "Raspberry Pi under-voltage": 0,
        "Raspberry Pi clock capped": 1,
        "Raspberry Pi slowed": 1,
        "Raspberry Pi slowed by temperature": 1,
    }


def test_bare_container_says_what_it_cannot_tell() -> None:
    found = snapshot(machines.container())
    assert found["load"] is None and found["cpu_mhz"] is None
    assert set(found["absent"]) == {"gpus", "cpu_mhz", "temperatures", "throttled"}
    assert "nominal" in found["absent"]["cpu_mhz"]


@pytest.mark.parametrize("make", [*machines.ALL, machines.Broken])
def test_is_json_and_never_fails(make: Callable[[], Machine], no_driver: None) -> None:
    found = snapshot(make())
    assert json.loads(json.dumps(found)) == found
    assert changes(found, found) == changes(found, None)


def test_this_machine() -> None:
    found = snapshot()
    assert found["memory_available_bytes"] > 0 and found["load"] >= 0
    assert found["time"].endswith("+00:00")


def test_changes_of_a_quiet_run(nvml: Library) -> None:
    probe = machines.desktop()
    assert changes(snapshot(probe), snapshot(probe)) == []


def test_changes_of_a_hot_run(nvml: Library) -> None:
    probe = machines.desktop()
    before = snapshot(probe)
    nvml.cards = [Card(reasons=0x20, clock=1200, temperature=88)]
    probe.files |= {
        "/proc/cpuinfo": probe.files["/proc/cpuinfo"].replace("4900.100", "3000.000"),
        f"{CPUS}/cpu0/thermal_throttle/core_throttle_count": "14\n",
        "/sys/class/thermal/thermal_zone0/temp": "97000\n",
    }
    assert changes(before, snapshot(probe)) == [
        "GPU 0 was slowed at the end of the run: temperature, by the driver.",
        "CPU core over its temperature: 4 events during the run.",
        "GPU 0 rose from 44 to 88 °C.",
        "The fastest core ran at 4900 MHz before the run and at 3600 MHz after it.",
        "GPU 0 ran at 2520 MHz before the run and at 1200 MHz after it.",
        "x86_pkg_temp rose from 41 to 97 °C.",
    ]


def test_changes_of_a_machine_that_was_busy_and_hot_before() -> None:
    probe = machines.raspberry()
    probe.files["/proc/loadavg"] = "0.51 0.20 0.30 1/212 4711\n"
    found = snapshot(probe)
    told = [
        "The machine was not idle before the run: load 0.5.",
        "Raspberry Pi was slowed already before the run: slowed by temperature.",
    ]
    assert changes(found, None) == told
    assert changes(found, found) == told


def test_changes_of_reports_with_keys_left_out() -> None:
    assert changes({}, {}) == []
    assert changes({"gpus": [{}], "throttled": None}, {"gpus": [{"clock_mhz": 5}], "temperatures": {"a": 1.0}}) == []
