"""The other network family: its parts are found and counted as the shipped model's are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcpose_trt.benchmark.roofline import command, stages
from tests.benchmark.roofline.conftest import machine, parse

SIDE = 64


def test_a_resnet_has_its_stages_and_the_operations_that_torch_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from torch.utils.flop_counter import FlopCounterMode

    from gcpose_trt.export import export_model
    from gcpose_trt.model import GCPoseRCNN
    from gcpose_trt.model.resnet import BLOCKS
    from tests.support.networks import build_tiny

    # Every kind of block that r50 has, once: tracing the others takes half a minute and says nothing new.
    monkeypatch.setitem(BLOCKS, "resnet50", (1, 1, 1, 1))
    model = GCPoseRCNN(build_tiny().config).eval()
    export_model(model, tmp_path, size=(SIDE, SIDE), verify=False)
    words = (str(tmp_path), "--people", "1", "--threads", "1", "--repeats", "1")
    record = command.measure(parse(*words), machine())
    assert record["settings"]["input"] == [SIDE, SIDE]
    names = {line["name"] for line in record["stages"]}
    without = {stages.OTHER, stages.PRIOR, stages.PLACES}  # it has no pose prior
    assert names == {name for graph in stages.STAGES.values() for name in graph} - without
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        maps = model.backbone(torch.zeros(1, 3, SIDE, SIDE))
        backbone = counter.get_total_flops()
        model.neck({int(name[1]): value for name, value in maps.items()})
        both = counter.get_total_flops()
    operations = {line["name"]: line["operations"] for line in record["stages"]}
    # Additions and activations that stay outside of convolutions count here and not in torch.
    assert operations[stages.BACKBONE] == pytest.approx(backbone, rel=0.01)
    assert operations[stages.PYRAMID] == pytest.approx(both - backbone, rel=0.01)
