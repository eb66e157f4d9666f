"""A given number of people, with the shipped model."""

from __future__ import annotations

from gcpose_trt.assets import SAMPLE
from gcpose_trt.benchmark.contender import ContenderSpec, PeopleContender
from gcpose_trt.benchmark.opening import Ours
from gcpose_trt.benchmark.operations import people, poses, throughput


def test_the_shipped_model_takes_every_request() -> None:
    """Real networks at a small size: numbers of people, batches, streams, and poses that batches find too."""
    contender = Ours(ContenderSpec("mobile", size="128", threads=1))
    try:
        assert isinstance(contender, PeopleContender)
        answer = people.run(contender, {"clip": str(SAMPLE), "frame": 3, "counts": [3, 0, 40], "repeats": 2})
        assert answer["unreached"] == {}
        assert list(answer["counts"]) == ["3", "0", "40"]
        for times in answer["counts"].values():
            assert {len(values) for values in times.values()} == {2}
            for total, detector, pose in zip(times["total"], times["detector"], times["pose"], strict=True):
                assert total >= detector + pose > 0
        for case in ({"batch": 2}, {"streams": 2}):
            measured = throughput.run(contender, {"clip": str(SAMPLE), "indices": [0, 1, 2], **case})
            assert measured["frames"] == 4
            assert measured["fps"] > 0
        (record,) = poses.run(contender, {"clip": str(SAMPLE), "indices": [3]})["frames"]
        assert len(record["boxes"]) == len(record["scores"]) == len(record["keypoints"])
    finally:
        contender.close()
