"""Run the ablation; what is done already is kept, so that the same command goes on where it was stopped."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.ablation import features, heads
from benchmarks.ablation.variants import VARIANTS
from benchmarks.common import parser, record, run, write
from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import load_annotations
from gcpose_trt.model import load_model
from gcpose_trt.model.checkpoint.exported import weights_digest
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.config_loading import load_config

LEEDS = 1  # the recipe's second data set
COPIES = 5  # augmented views of a person of the first set, on average


def halves(annotations: Path, folder: Path) -> tuple[Path, Path]:
    """Write two files with half of the images each, drawn once and for all; return them."""
    tree = json.loads(annotations.read_text(encoding="utf-8"))
    order = sorted(image["id"] for image in tree["images"])
    random.Random(1).shuffle(order)
    paths = []
    for n in range(2):
        ids = set(order[n::2])
        half = {
            **tree,
            "images": [image for image in tree["images"] if image["id"] in ids],
            "annotations": [one for one in tree["annotations"] if one["image_id"] in ids],
        }
        paths.append(folder / f"half{n}.json")
        write(paths[-1], half)
    return paths[0], paths[1]


def _sets(config: TrainConfig, half: Path) -> dict[str, TrainConfig]:
    """Return one recipe a set of people."""
    coco, leeds = config.datasets[0], config.datasets[LEEDS]
    plain = replace(leeds, teacher_agreement=0.0)
    chosen = {"coco": replace(coco, annotations=str(half)), "teacher": leeds, "labels": plain}
    return {name: replace(config, datasets=(dataset,)) for name, dataset in chosen.items()}


class _People:
    """Pools each set of people once for each box factor."""

    def __init__(self, options: Any, half: Path) -> None:
        self._options = options
        self._recipes = _sets(load_config("mobile"), half)
        self._people = sum(1 for one in load_annotations(half).people if one["num_keypoints"] > 0)

    def _model(self, factor: float) -> Any:
        return features.with_box_factor(load_model(self._options.model), factor)

    def training(self, name: str, factor: float) -> features.People:
        """Return people to train on."""
        count = COPIES * self._people
        return features.kept(
            self._options.output / f"{name}_{factor}.pt",
            lambda: features.training_people(
                self._model(factor), self._recipes[name], self._options.data, count, lambda line: print(line, end="\r")
            ),
        )

    def evaluation(self, factor: float, other: Path) -> Any:
        """Return people to evaluate on, by image."""
        folder = next(root / "coco/train" for root in self._options.data if (root / "coco/train").is_dir())
        return features.kept(
            self._options.output / f"evaluation_{factor}.pt",
            lambda: features.evaluation_people(self._model(factor), load_annotations(other), folder),
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Train and evaluate every variant."""
    options = parser(__doc__)
    options.add_argument("--data", nargs="+", type=Path, required=True, help="folders that the recipe starts from")
    options.add_argument("--model", help="network trained on the first half only (see --split)")
    options.add_argument("--output", type=Path, required=True, help="folder for features and results")
    options.add_argument("--only", nargs="*", help="names of variants")
    options.add_argument("--split", action="store_true", help="only write half0.json and half1.json, and stop")
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args(argv)
    chosen.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(chosen.threads)
    annotations = next(
        (root / load_config("mobile").datasets[0].annotations for root in chosen.data if root.is_dir()), None
    )
    if annotations is None or not annotations.is_file():
        raise GcposeError("the recipe's annotations are not in --data; give the folder that has coco/")
    first, second = halves(annotations, chosen.output)
    if chosen.split:
        print(f"{first} {second}")
        return 0
    if chosen.model is None:
        raise GcposeError(f"no --model; train one on {first}, as benchmarks/README.md says")
    _run_all(chosen, first, second)
    return 0


def _run_all(chosen: Any, first: Path, second: Path) -> None:
    people = _People(chosen, first)
    annotations = load_annotations(second)
    path = chosen.output / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for variant in VARIANTS:
        if variant.name + variant.group in results or (chosen.only and variant.name not in chosen.only):
            continue
        factor = variant.config.box_factor
        images = people.evaluation(factor, second)
        more = people.training(variant.more, factor) if variant.more and variant.train else None
        head = heads.train(variant, people.training("coco", factor), more)
        found = heads.evaluate(variant, head, images, annotations)
        results[variant.name + variant.group] = {"group": variant.group, "name": variant.name, **found}
        print(f"{variant.group:>30}  {variant.name:<42} " + " ".join(f"{k} {v:.3f}" for k, v in found.items() if v))
        write(path, results)
    digest = weights_digest(load_model(chosen.model).state_dict())
    measured = {"trained on": len(load_annotations(first).images), "evaluated on": len(annotations.images)}
    write(chosen.json, record({"images": measured, "frozen network": digest, "variants": list(results.values())}))


if __name__ == "__main__":
    run(main)
