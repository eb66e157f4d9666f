"""What a report (`report.json`) holds.

Times are milliseconds, memory is bytes, shares are 0..1, dates are ISO 8601 in UTC. Whatever was not measured is None
or left out; nothing is ever filled in. Keys may be added within a version; a change of meaning counts `SCHEMA` up.

    schema        SCHEMA
    kind          KIND
    complete      false while units are missing (interrupted)
    suite         {"name", "settings": the plan's settings as resolved, see `plan.Settings`}
    command       the command line, folders of the machine left out
    commit        of the working tree with "-dirty", or None
    sessions      [{"started", "ended" or None, "before": SNAPSHOT, "after": SNAPSHOT or None}], two if it was resumed
    environment   FACTS, see `environment`: {"machine_id", "cpu", "cpu_generation", "architecture", "board", "cores":
                  {"physical", "logical", "affinity", "quota", "usable", "smt"}, "clocks", "memory_bytes",
                  "memory_limit_bytes", "gpus": [...], "driver", "cuda", "jetson": {"name", "l4t", "jetpack",
                  "clocks_fixed"} or None, "power_mode", "governor", "on_battery", "container", "hypervisor", "os",
                  "kernel", "load", "versions", "energy_sensors": [...], "energy_covers": {sensor: what it measures},
                  "absent": {what: why}}
    clip          {"name", "width", "height", "frames": K, "sha256"}
    contenders    [{"id", "label", "peer", "spec", "status": "measured" | "skipped" | "failed", "reason",
                    and ContenderInfo.to_dict() once it was open: "backend", "precision", "device", "version", "size",
                    "weights_sha256", "bytes", "licence", "rank", "keypoint_threshold", "threads"}]
    units         {key: result}: raw results, from which every section is made anew when the run is resumed

    notes         [what a reader should know, one line each]

Sections, each {} if not asked for, else by contender id. Instead of numbers an entry may be {"failed": reason} or
{"left_out": reason}.

    latency       {id: {"end_to_end": SUMMARY, "network": SUMMARY, "stages": {stage: SUMMARY}, "fps": frames a
                   second from frame to poses by the median, without decode and draw, "fps_end_to_end", "people": mean
                   a frame,
                   "energy": {sensor: {"joules_per_frame", "watts", "joules": SUMMARY of the rounds}},
                   "unsteady": spread of end_to_end is over 10 %,
                   "samples": {"end_to_end": [...], "network": [...], "frame": [...], "round": [...]}}}
                  "end_to_end" is decode to draw by the wall clock; "network" the sum of NETWORK_STAGES
    people        {id: {"counts": [...], "total": [SUMMARY...], "detector": [...], "pose": [...], "slope": ms a person,
                   "unreached": counts that it could not be given}}
    throughput    {id: {"batches": [{"batch", "fps": SUMMARY}], "streams": [{"streams", "fps": SUMMARY}],
                   "what": what is counted, in words, "left_out_cases": {case: reason}}}
    start         {id: {"import", "load", "first_frame", "steady": SUMMARY each, "host_peak_bytes": SUMMARY,
                   "gpu_peak_bytes": SUMMARY or None, "gpu_reason", "what": what the peak includes, in words}}
    accuracy      {id: {"keypoints": COCO's metrics, "boxes", "images", "people", "found", "rank", "min_score",
                   "dataset": {"name", "sha256"}}}
    parity        {id: {"reference": id, "frames", "people", "missing", "extra", "score_difference": max,
                   "joints": how many, "joint_pixels": {"median", "p99", "max"}}}
                  against the first contender of the same weights
    samples       [{"frame": index, "poses": {id: PoseFrame.to_dict()}}]

SUMMARY       {"count", "median", "p90", "p99", "mean", "min", "max", "ci95": [low, high] of the median or None,
               "spread", "blocks": rounds that the interval rests on} (milliseconds but "spread"; frames a second for
               "fps")
SNAPSHOT      {"time", "load", "cpu_mhz": {"min", "median", "max"} or None, "temperatures": {name: Celsius},
               "throttled": {name: what slows it now}, "throttle_counts": {name: since the machine started},
               "gpus": [...], "memory_available_bytes", "absent": {what: why}}
"""

from __future__ import annotations

KIND = "gcpose-trt benchmark"
SCHEMA = 1
SECTIONS = ("latency", "people", "throughput", "start", "accuracy", "parity", "samples")
UNSTEADY_SPREAD = 0.10
TIMED_FRAMES = 200  # least number of timed frames a case
