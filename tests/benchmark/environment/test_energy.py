"""Joules: counters that go around, watts over time, and all sensors together."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.environment import open_sensors
from gcpose_trt.benchmark.environment.power import LONGEST_GAP, Integral, Polled
from gcpose_trt.benchmark.environment.rails import find, named
from gcpose_trt.benchmark.environment.rapl import Counter
from tests.benchmark.environment import machines
from tests.benchmark.environment.machines import RAPL
from tests.benchmark.environment.stand_in import Card, Library

few = settings(deadline=None, max_examples=60, derandomize=True)


@few
@given(
    span=st.integers(1, 10**12),
    first=st.floats(0, 1),
    steps=st.lists(st.floats(0, 1), max_size=20),
)
def test_counter_goes_around(span: int, first: float, steps: list[float]) -> None:
    shown = int(first * span)
    counter = Counter(shown, span)
    spent = 0
    for step in steps:
        # As much as it can show, at most: it was read in time.
        more = int(step * span)
        spent += more
        shown = (shown + more) % (span + 1)
        assert counter.joules(shown) == spent / 1e6


@few
@given(
    watts=st.lists(st.floats(-1, 500), min_size=1, max_size=20),
    step=st.floats(0.01, 10),
)
def test_integral_lies_between_its_samples(watts: list[float], step: float) -> None:
    even, held = Integral(), Integral(held=True)
    for index, value in enumerate(watts):
        even.add(index * step, value)
        held.add(index * step, value)
    seconds = (len(watts) - 1) * step
    for joules in (even.joules(), held.joules()):
        assert min(watts) * seconds - 1e-6 <= joules <= max(watts) * seconds + 1e-6
    assert held.joules(seconds + 2.0) == pytest.approx(held.joules() + 2.0 * watts[-1])


def test_integral_of_a_ramp_and_of_steps() -> None:
    even, held = Integral(), Integral(held=True)
    for now, watts in ((0.0, 0.0), (1.0, 10.0), (1.0, 99.0), (3.0, 10.0)):
        even.add(now, watts)
        held.add(now, watts)
    assert (even.joules(), held.joules()) == (25.0, 20.0)


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_polled_counts_from_the_start_and_gives_up_after_a_gap() -> None:
    clock, watts = _Clock(), {"a": 10.0, "b": 2.0}
    source = Polled(lambda: dict(watts), {"a": "", "b": ""}, clock)
    assert source.read() == {"a": 0.0, "b": 0.0}
    clock.now += 1
    assert source.read() == {"a": 10.0, "b": 2.0}
    del watts["b"]
    for _ in range(int(LONGEST_GAP) + 1):
        clock.now += 1
        found = source.read()
    assert found == {"a": 10.0 * (LONGEST_GAP + 2)}
    assert source.lost == {"b": "gave no reading for 6 s"}
    watts["b"] = 2.0
    assert "b" not in source.read()
    source.close()


def test_polled_reads_by_itself() -> None:
    asked = threading.Event()
    seen: list[int] = []

    def meter() -> dict[str, float]:
        seen.append(1)
        if len(seen) == 3:
            asked.set()
        return {"a": 1.0}

    source = Polled(meter, {"a": ""})
    source.start()
    assert asked.wait(10)
    source.close()
    assert source.read()["a"] > 0


def test_desktop_counts_processor_memory_and_card(nvml: Library) -> None:
    probe = machines.desktop()
    with open_sensors(probe) as sensors:
        assert sensors.names == ["RAPL psys", "RAPL package-0", "RAPL package-0 dram", "NVML GPU 0"]
        assert set(sensors.covers) == set(sensors.names) and all(sensors.covers.values())
        assert sensors.absent == {"Jetson rails": "this is no Jetson"}
        assert sensors.read() == dict.fromkeys(sensors.names, 0.0)
        # The package's counter goes around: 328850 to its end, one to 0.
        probe.files[f"{RAPL}/intel-rapl:0/energy_uj"] = "671149\n"
        probe.files[f"{RAPL}/intel-rapl:0:1/energy_uj"] = "3500000\n"
        nvml.cards[0].energy = 5_012_500
        assert sensors.read() == {
            "RAPL psys": 0.0,
            "RAPL package-0": 1.0,
            "RAPL package-0 dram": 2.5,
            "NVML GPU 0": 12.5,
        }
        assert nvml.opened == 1
    sensors.close()
    assert nvml.opened == 0


def test_counters_of_root_are_said_to_be(nvml: Library) -> None:
    probe = machines.desktop()
    probe.closed = {name for name in probe.files if name.endswith("energy_uj")}
    with open_sensors(probe) as sensors:
        assert sensors.names == ["NVML GPU 0"]
        assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in sensors.absent["RAPL"]
    probe.closed = {f"{RAPL}/intel-rapl:1/energy_uj"}
    with open_sensors(probe) as sensors:
        assert "RAPL psys" not in sensors.names and "RAPL package-0" in sensors.names
        assert sensors.absent["RAPL"].startswith("some of its counters")


def test_sensor_that_falls_silent_is_left_out(nvml: Library) -> None:
    probe = machines.desktop()
    with open_sensors(probe) as sensors:
        probe.closed = {f"{RAPL}/intel-rapl:0/energy_uj"}
        nvml.cards[0].energy = 3  # the driver was loaded anew
        assert set(sensors.read()) == {"RAPL psys", "RAPL package-0 dram"} == set(sensors.names)
        assert set(sensors.absent) == {"Jetson rails", "RAPL package-0", "NVML GPU 0"}
        probe.closed = set()
        nvml.cards[0].energy = 9_000_000
        assert "RAPL package-0" not in sensors.read() and "NVML GPU 0" not in sensors.names


def test_two_processors_are_told_apart(no_driver: None) -> None:
    probe = machines.desktop()
    probe.files |= machines.domain("intel-rapl:1", "package-1", 7) | machines.domain("intel-rapl:1:0", "dram", 7)
    probe.files |= machines.domain("intel-rapl-mmio:0", "package-0", 7)
    with open_sensors(probe) as sensors:
        assert sensors.names == ["RAPL package-0", "RAPL package-1", "RAPL package-0 dram", "RAPL package-1 dram"]
        assert "no NVIDIA driver" in sensors.absent["NVML"]


def test_older_card_is_summed_and_one_without_sensors_is_absent(nvml: Library) -> None:
    nvml.cards = [Card(), Card("Tesla P4", energy=None), Card("Tesla K20", energy=None, power=None)]
    with open_sensors(machines.desktop()) as sensors:
        assert sensors.names[-2:] == ["NVML GPU 0", "NVML GPU 1"]
        assert "twenty times" in sensors.covers["NVML GPU 1"]
        assert sensors.absent["NVML GPU 2"] == "this GPU tells neither energy nor power"
        assert sensors.read()["NVML GPU 1"] >= 0
    assert nvml.opened == 0


def test_orin_by_sysfs() -> None:
    with open_sensors(machines.orin()) as sensors:
        assert sensors.names == ["Jetson VDD_IN", "Jetson VDD_CPU_GPU_CV", "Jetson VDD_SOC"]
        assert set(sensors.read()) == set(sensors.names)
        assert "module" in sensors.covers["Jetson VDD_IN"]


def test_rails_of_agx_orin_and_thor() -> None:
    probe = machines.orin()
    probe.files |= machines.rails(1, ("VDD_GPU_SOC", 4000, 1000), ("VDD_CPU_CV", 5000, -80), ("VIN_SYS_5V0", 5000, 800))
    probe.files |= machines.rails(2, ("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 1800, 500), ("OFF", 5000, 1))
    probe.files["/sys/class/hwmon/hwmon2/in3_enable"] = "0\n"
    watts = {rail.name: rail.watts(probe) for rail in find(probe)}
    assert watts == {"VDD_GPU_SOC": 4.0, "VDD_CPU_CV": -0.4, "VIN_SYS_5V0": 4.0, "VDDQ_VDD2_1V8AO": 0.9}
    # The memory's rail is fed from VIN_SYS_5V0.
    assert named({name: value or 0.0 for name, value in watts.items()})["Jetson total"] == pytest.approx(7.6)
    probe.files |= {"/sys/class/hwmon/hwmon5/name": "ina238\n", "/sys/class/hwmon/hwmon5/power1_input": "23000000\n"}
    with open_sensors(probe) as sensors:
        assert sensors.names[0] == "Jetson VIN" and "Jetson total" not in sensors.names


def test_monitor_that_does_not_answer_is_no_sensor() -> None:
    probe = machines.orin()
    probe.closed = {"/sys/class/hwmon/hwmon1/curr1_input"}
    assert [rail.name for rail in find(probe)] == ["VDD_CPU_GPU_CV", "VDD_SOC"]


def test_bare_container_has_reasons_only() -> None:
    with open_sensors(machines.container()) as sensors:
        assert sensors.names == [] and sensors.read() == {}
        assert set(sensors.absent) == {"Jetson rails", "RAPL", "NVML"}


def test_this_machine() -> None:
    with open_sensors() as sensors:
        first, second = sensors.read(), sensors.read()
        assert set(second) == set(sensors.names)
        assert all(second[name] >= first[name] for name in second)
        assert sensors.names or sensors.absent
