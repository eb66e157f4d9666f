"""Recorded machines: what is green, yellow, red and absent on each, and the command that puts it right."""

from __future__ import annotations

import pytest

from gcpose_trt.doctor import Check, Report, Status, examine
from gcpose_trt.doctor.probe import Inspection, Output
from tests.doctor import faults_cpu, faults_gpu, recorded
from tests.doctor.recorded import Make, RecordedProbe, altered, changed, device, driver

FAULTS = {**faults_gpu.FAULTS, **faults_cpu.FAULTS}


def checks(report: Report) -> dict[str, Check]:
    """The checks of a report by their identifier."""
    return {section.identifier(check): check for section in report.sections for check in section.checks}


def found(probe: RecordedProbe, identifier: str) -> Check:
    """One check of a machine."""
    return checks(examine(probe))[identifier]


def of_status(report: Report, status: Status) -> list[str]:
    """Identifiers of the checks of a status."""
    return [key for key, check in checks(report).items() if check.status is status]


def test_cpu_laptop() -> None:
    report = examine(recorded.cpu_laptop())
    assert of_status(report, Status.YELLOW) == of_status(report, Status.RED) == []
    assert {"gpu.driver", "gpu.gpu", "tensorrt.tensorrt", "developing.pytorch"} <= set(of_status(report, Status.ABSENT))
    assert report.exit_code(strict=True) == 0
    ready = {ability.name: ability.ready for ability in report.abilities}
    assert ready["demo and eval with ONNX Runtime"]
    assert not ready["TensorRT engines"]
    # The metadata node of the USB camera is no camera.
    assert checks(report)["running.cameras"].facts["cameras"] == {"/dev/video0": "Integrated Camera: Integrated C"}


@pytest.mark.parametrize(
    "make",
    [recorded.desktop, recorded.orin, lambda: recorded.orin(5), lambda: recorded.orin(7)],
    ids=["desktop", "jetpack6", "jetpack5", "jetpack7"],
)
def test_healthy_gpu_machines(make: Make) -> None:
    report = examine(make())
    assert of_status(report, Status.YELLOW) == of_status(report, Status.RED) == []
    assert next(ability for ability in report.abilities if ability.name == "TensorRT with our plugins").ready


@pytest.mark.parametrize(
    ("jetpack", "version", "l4t"), [(5, "5.1.4", "35.6.0"), (6, "6.2", "36.4.3"), (7, "7.1", "38.4.0")]
)
def test_jetson_names_its_jetpack(jetpack: int, version: str, l4t: str) -> None:
    check = found(recorded.orin(jetpack), "machine.jetson")
    assert (check.facts["jetpack"], check.facts["l4t"]) == (version, l4t)


def test_jetpack_without_its_package_is_derived_from_jetson_linux() -> None:
    probe = recorded.orin()
    probe.commands["dpkg-query*"] = Output(1, "", "no packages found matching nvidia-jetpack")
    assert found(probe, "machine.jetson").facts["jetpack"] == "6"


def test_desktop_readings() -> None:
    check = found(recorded.desktop(), "gpu.gpu")
    for words in ("RTX 4090", "8.9", "21.5 GiB free", "210 of 3105 MHz", "41 °C", "24 W"):
        assert words in check.detail


def test_two_gpus_are_two_lines() -> None:
    cards = (device("NVIDIA H200", "9.0", 140), device("NVIDIA T4", "7.5", 15))
    report = examine(changed(recorded.desktop(), cuda_driver=driver(*cards)))
    assert {"gpu.gpu-0", "gpu.gpu-1"} <= set(checks(report))
    assert report.machine.words == "NVIDIA H200, NVIDIA T4"


@pytest.mark.parametrize("name", FAULTS)
def test_fault_and_its_remedy(name: str) -> None:
    make, identifier, status, detail, fix = FAULTS[name]
    report = examine(make())
    check = checks(report)[identifier]
    assert check.status is status, check
    assert detail in check.detail
    assert check.fix is not None
    assert fix in check.fix
    assert report.exit_code() == int(bool(of_status(report, Status.RED)))
    assert report.exit_code(strict=True) == 1
    assert not [one for one in checks(report).values() if "itself failed" in one.detail]


def test_repairs_of_an_unusable_gpu_start_with_the_driver() -> None:
    report = examine(recorded.container_without_driver())
    assert of_status(report, Status.YELLOW) == ["gpu.driver"]
    assert of_status(report, Status.RED) == []
    engines = next(ability for ability in report.abilities if ability.name == "TensorRT engines")
    assert not engines.ready
    assert engines.missing[0] == "gpu.driver"


def test_pycuda_without_a_driver_is_no_fault() -> None:
    probe = altered(recorded.cpu_laptop(), installed={"pycuda": "2025.1"})
    probe.inspections["pycuda"] = Inspection(error="libcuda.so.1: cannot open shared object file")
    assert found(probe, "gpu.cuda-in-python").status is Status.ABSENT


def test_minor_versions_of_cuda_go_together() -> None:
    probe = changed(recorded.desktop(), cuda_driver=driver(device("NVIDIA L4", "8.9", 22), cuda="13.0"))
    probe.commands["/usr/bin/nvcc --version"] = Output(0, "release 13.2, V13.2.51\n")
    assert found(probe, "gpu.nvcc").status is Status.GREEN
