from __future__ import annotations

from dataclasses import replace

import pytest

from gcpose_trt.benchmark.comparison.pairs import machine, pair_up
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError

FP32 = ContenderSpec("mobile", precision="fp32", threads=2)
INT8 = ContenderSpec("mobile", precision="int8", threads=2)
R50 = ContenderSpec("r50", precision="fp32", threads=2)
MOVENET = ContenderSpec("movenet.onnx", peer="movenet", threads=2)


def record(spec: ContenderSpec) -> dict:
    return {"id": spec.id, "label": spec.label, "status": "measured", "spec": spec.to_dict()}


def paired(a: list[ContenderSpec], b: list[ContenderSpec], *match: str) -> list[str]:
    return [pair.label for pair in pair_up([record(spec) for spec in a], [record(spec) for spec in b], match)]


def test_equal_specs_are_pairs_in_the_order_of_a() -> None:
    assert paired([FP32, INT8, MOVENET], [MOVENET, R50, FP32]) == ["mobile fp32", "movenet"]


def test_folders_of_models_and_peers_do_not_count() -> None:
    ours = replace(FP32, model="/home/a/run3/mobile")
    theirs = replace(MOVENET, model="/data/movenet.onnx", peer="/home/a/movenet")

    assert len(paired([ours, theirs], [FP32, MOVENET])) == 2


@pytest.mark.parametrize(
    "change",
    [{"precision": "fp16"}, {"backend": "torch"}, {"size": "448"}, {"min_score": 0.3}, {"options": {"a": "b"}}],
)
def test_another_setting_is_another_contender(change: dict) -> None:
    assert paired([FP32], [replace(FP32, **change)]) == []


def test_a_sweep_of_threads_pairs_up_by_threads() -> None:
    sweep = [replace(FP32, threads=count) for count in (1, 2, 4)]
    records = [record(spec) for spec in sweep]

    pairs = pair_up(records, records[::-1])

    assert [(pair.a["spec"]["threads"], pair.b["spec"]["threads"]) for pair in pairs] == [(1, 1), (2, 2), (4, 4)]


def test_other_threads_are_a_pair_if_there_is_no_better_one() -> None:
    assert paired([FP32], [replace(FP32, threads=8)]) == ["mobile fp32"]


def test_labels_say_who_goes_with_whom() -> None:
    assert paired([FP32, INT8], [INT8, FP32], "mobile fp32=mobile int8") == ["mobile fp32 -> mobile int8"]


def test_ids_do_as_labels() -> None:
    assert paired([FP32], [R50], f"{FP32.id} = {R50.id}") == ["mobile fp32 -> r50 fp32"]


@pytest.mark.parametrize(
    ("match", "said"),
    [("mobile", "pairs nobody up"), ("mobile fp16=r50 fp32", "A has no contender"), ("mobile fp32=x", "B has no")],
)
def test_unknown_labels_are_refused(match: str, said: str) -> None:
    with pytest.raises(GcposeError, match=said):
        paired([FP32], [R50], match)


def test_a_label_of_two_contenders_is_refused() -> None:
    with pytest.raises(GcposeError, match="2 contenders called 'mobile fp32'"):
        paired([FP32, replace(FP32, threads=4)], [R50], "mobile fp32=r50 fp32")


def test_free_takes_the_most_alike_of_the_same_model() -> None:
    first = [replace(INT8, size="448"), FP32]
    second = [replace(FP32, backend="torch"), INT8]

    assert paired(first, second, "free") == ["mobile int8 @448 -> mobile int8", "mobile fp32 -> mobile torch fp32"]


def test_free_never_mixes_models_unless_only_one_is_left_on_each_side() -> None:
    assert paired([FP32, R50], [MOVENET, INT8], "free") == ["mobile fp32 -> mobile int8", "r50 fp32 -> movenet"]
    assert paired([FP32, R50], [MOVENET], "free") == []


def test_a_machine_in_words() -> None:
    facts = {
        "cpu": "ARM",
        "cores": {"usable": 6},
        "gpus": [{"name": "Orin"}],
        "memory_bytes": 8 << 30,
        "power_mode": "15W",
    }

    assert machine({"environment": facts}) == "ARM, 6 cores, 8.0 GiB, Orin, power mode 15W"
    assert machine({"environment": {}}) == "unknown CPU"
