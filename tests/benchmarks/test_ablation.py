"""The ablation: that its branch is the network's, that variants vary, that training learns, and what was recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[train]'")
import torch

from benchmarks.ablation import features, heads, table
from benchmarks.ablation.__main__ import halves
from benchmarks.ablation.variants import BASE, VARIANTS
from gcpose_trt.errors import GcposeError
from gcpose_trt.model import build_model


def pooled(people: int = 3) -> tuple[features.People, torch.Tensor]:
    """Return pooled people of a random image, and the maps that the network itself makes of them."""
    torch.manual_seed(0)
    model = build_model("mobile")
    image = torch.randint(0, 255, (1, 128, 192, 3), dtype=torch.uint8)
    boxes = torch.rand(people, 4) * 60 + torch.tensor([0.0, 0.0, 70.0, 60.0])
    keypoints = torch.cat([boxes[:, None, :2] + torch.rand(people, 17, 2) * 60, torch.ones(people, 17, 1)], 2)
    with torch.inference_mode():
        pose = model.features(model.normalize(image, torch.tensor([[128, 192]])))["pose"]
        index = torch.zeros(people, dtype=torch.int64)
        found = features._pool(model, pose, boxes, index, keypoints)
        return found, model.keypoint_logits(pose, boxes, index)


def test_maps_of_pooled_people_are_the_networks() -> None:
    found, expected = pooled()
    torch.manual_seed(0)
    head = build_model("mobile").keypoint_head
    maps = heads.logits(head, found.rows(torch.arange(3)), learned=True)
    # Kept in half precision, whose steps are 2^-11 of a value.
    assert (maps - expected).abs().max() < 0.02


def test_names_are_unique_and_variants_differ() -> None:
    assert len({(one.group, one.name) for one in VARIANTS}) == len(VARIANTS)
    # "both sizes" and the box factor's 1.3 repeat a setting under another heading, with other data.
    assert len({repr(replace(one, name="", group="")) for one in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize(("gcms", "convs"), [(0, 3), (1, 2), (2, 2)])
def test_global_context_modules(gcms: int, convs: int) -> None:
    head = heads.build(replace(BASE, gcms=gcms, branch={"convs": convs}))
    kinds = [type(stage).__name__ for stage in head.stages]
    assert kinds.count("GlobalContextModule") == gcms
    assert kinds.count("Conv2d") == 2 * convs


def test_training_lowers_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = pooled()
    monkeypatch.setattr(heads, "BATCH", 4)
    variant = replace(BASE, steps=25, share=0.0, lr=2e-3)

    def loss(head: torch.nn.Module) -> float:
        people = found.rows(torch.arange(3))
        with torch.inference_mode():
            maps = heads.logits(head, people, learned=True)  # type: ignore[arg-type]
            return float(heads.keypoint_loss(maps, people.position, people.weight, variant.sigma))

    before = loss(heads.build(variant).eval())
    assert loss(heads.train(variant, found, None)) < before - 0.05 * abs(before)


def test_halves_share_no_image(tmp_path: Path) -> None:
    tree = {"images": [{"id": n} for n in range(9)], "annotations": [{"image_id": n} for n in range(9)]}
    (tmp_path / "all.json").write_text(json.dumps(tree))
    first, second = (json.loads(path.read_text()) for path in halves(tmp_path / "all.json", tmp_path))
    ids = [{image["id"] for image in half["images"]} for half in (first, second)]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == 9
    assert {one["image_id"] for one in first["annotations"]} == ids[0]


def test_table_of_a_record(tmp_path: Path) -> None:
    one = {"group": "width", "name": "64", "AP": 0.4567, "AP50": 0.7, "AP75": 0.5, "APm": 0.4, "APl": 0.6}
    (tmp_path / "ablation.json").write_text(json.dumps({"variants": [one, {**one, "name": "96"}]}))
    rows = table.lines(tmp_path / "ablation.json")[2:]
    assert rows == [
        "| width | 64 | 0.457 | 0.700 | 0.500 | 0.400 | 0.600 |",
        "|  | 96 | 0.457 | 0.700 | 0.500 | 0.400 | 0.600 |",
    ]
    with pytest.raises(GcposeError, match="holds no ablation; record"):
        table.lines(tmp_path / "nothing.json")
