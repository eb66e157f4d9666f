"""What every figure includes, in plain words."""

from __future__ import annotations

from gcpose_trt.benchmark.reporting.view import View
from gcpose_trt.benchmark.reporting.words import look, number
from gcpose_trt.benchmark.schema import TIMED_FRAMES, UNSTEADY_SPREAD


def methods(view: View) -> list[tuple[str, str]]:
    """Return (term, explanation) pairs, only of what the report holds."""
    found = [("Contenders", _contenders())]
    if view.of("latency"):
        found += _timing(view)
    if view.of("latency") and any(record.get("energy") for _, record in view.of("latency")):
        found.append(
            (
                "Energy",
                "Watts are what the machine's own sensors counted over a contender's turns; joules a frame are those "
                "watts for as long as a frame takes end to end. A sensor counts all that its part of the machine "
                "uses; nothing is subtracted for rest.",
            )
        )
    pairs = {
        "people": "The detector runs on one and the same frame as always, and the pose part is given so many boxes of "
        "assorted sizes. Contenders that cannot be steered like that are left out.",
        "throughput": "How many frames get done in a second when so many go into one call, or when so many callers "
        "run at once. It says nothing of how long one frame waits.",
        "start": "A new process each time. Import is from the order to start it until all libraries are there, load "
        "until the model is ready, first frame until the first poses; files come from memory, not from the disk.",
        "accuracy": "Average precision over the annotated images, by COCO's rules (object keypoint similarity for "
        "joints, overlap for boxes, 0.50 to 0.95), people only. Images are other than the timed frames.",
        "parity": "People of two contenders with the same weights are matched by their boxes; then scores and joints "
        "are compared in pixels of the frame.",
        "samples": "Skeletons exactly as each contender gave them, drawn by the same code; a joint is as opaque as its "
        "contender is sure of it. Joints below its own threshold are left out.",
    }
    found += [
        (_TITLES[section], words)
        for section, words in pairs.items()
        if (view.get(section) if section == "samples" else view.of(section))
    ]
    return found


_TITLES = {
    "people": "People",
    "throughput": "Throughput",
    "start": "Start and memory",
    "accuracy": "Accuracy",
    "parity": "Parity",
    "samples": "Sample frames",
}


def _contenders() -> str:
    return (
        "Every contender runs in a process of its own, on the same frames, with as many threads as its row says. "
        "What was skipped or failed is listed with the reason. Nothing is estimated: a dash means not measured."
    )


def _timing(view: View) -> list[tuple[str, str]]:
    settings = view.get("suite", "settings")
    turn, frames, rounds = (number(look(settings, name)) for name in ("turn", "frames", "rounds"))
    size = f"{turn:.0f} frames" if turn else "a few frames"
    often = f"{frames:.0f} frames in {rounds:.0f} rounds" if frames and rounds else "all frames several times"
    return [
        (
            "Turns",
            f"Contenders take turns of {size}, in an order that is reversed every round, so that what the machine does "
            f"meanwhile meets all alike: {often}. The first frame of a turn is run once beforehand, untimed.",
        ),
        (
            "End to end",
            "By the wall clock from the encoded frame to the picture with skeletons: decoding, preprocessing, copies "
            "to and from the device, the network, post-processing, drawing. Skipping the frames in between and "
            "showing the picture are not in it.",
        ),
        (
            "Network only",
            "The detector and the pose part (or the whole graph, where it is one), with its inputs ready and its "
            "outputs complete. No decoding, resizing, copies or drawing.",
        ),
        (
            "Median, p90, p99",
            f"Half, 90 % and 99 % of the timed frames took no longer; {TIMED_FRAMES} frames at least, or it is said "
            "above.",
        ),
        (
            "95 % interval",
            "Of the median, by a bootstrap over whole rounds: what happens to be slow together is drawn together.",
        ),
        (
            "Spread",
            "How much the times of one and the same frame differ between rounds: the distance between the quartiles as "
            f"a share of the median. Over {100 * UNSTEADY_SPREAD:.0f} % counts as unsteady.",
        ),
    ]
