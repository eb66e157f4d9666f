"""The machine of a report: what it is, how it was before and after, what it drew.

- `facts`, `snapshot`: what it is; clocks, temperatures, load and throttling at one moment.
- `changes`: two snapshots in sentences.
- `open_sensors`: joules by RAPL, NVML, and a Jetson's power monitors or tegrastats.

Everything asks a `gcpose_trt.doctor.probe.Probe`, so that tests put recorded machines in its place. Nothing raises:
what a machine does not tell is None, with the reason under "absent".
"""

from gcpose_trt.benchmark.environment.differences import changes
from gcpose_trt.benchmark.environment.momentary import snapshot
from gcpose_trt.benchmark.environment.sensors import Sensors, open_sensors
from gcpose_trt.benchmark.environment.static import facts, machine_id

__all__ = ["Sensors", "changes", "facts", "machine_id", "open_sensors", "snapshot"]
