"""What is compared, and from where on a change counts. Imports nothing: `--help` needs it."""

METRICS = ("latency", "stages", "people", "throughput", "start", "memory", "energy", "size", "accuracy")
THRESHOLD = 0.05  # share by which a number may become worse
AP_THRESHOLD = 0.002  # by how much average precision may fall
