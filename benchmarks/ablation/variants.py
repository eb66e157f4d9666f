"""What is varied. Every variant differs from `BASE` in what its name says and nothing else."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.ablation.heads import Variant

BASE = Variant("as shipped", "base")
_MANY = 600


def _only(group: str, name: str, **changes: object) -> Variant:
    return replace(BASE, name=name, group=group, **changes)  # type: ignore[arg-type]


VARIANTS: tuple[Variant, ...] = (
    BASE,
    _only("base", "as shipped, seed 1", seed=1),
    _only("base", "as shipped, seed 2", seed=2),
    _only("maps (numbers alone trained)", "both sizes", head=False),
    _only("maps (numbers alone trained)", "full size only", head=False, maps="fine"),
    _only("maps (numbers alone trained)", "half size only", head=False, maps="coarse"),
    _only("training", "nothing trained", head=False, train=False),
    _only("data", "COCO only", more="", share=0.0),
    _only("decode", "peak of the map", decode="peak"),
    _only("global context", "none", gcms=0),
    _only("global context", "none, a third convolution instead", gcms=0, branch={"convs": 3}),
    _only("global context", "one module", gcms=1),
    _only("target", "width of one cell", sigma=1.0),
    _only("target", "width of one cell, peak of the map", sigma=1.0, decode="peak"),
    _only("target", "one cell alone, as in the paper", sigma=0.0),
    _only("training", "three times as long", steps=_MANY),
    _only("training", "five times the learning rate", lr=7e-4),
    *(
        _only("box factor (numbers alone trained)", str(factor), head=False, more="", branch={"box_factor": factor})
        for factor in (1.0, 1.15, 1.3, 1.5)
    ),
    _only("data", "Leeds with its own labels", more="labels"),
    _only("width", "64 channels", branch={"channels": 64}),
    _only("width", "128 channels", branch={"channels": 128}),
)
