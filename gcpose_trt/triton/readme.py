"""The README.md of an exported repository: how to serve these very models and how to ask them."""

from __future__ import annotations

from pathlib import Path

from gcpose_trt import __version__
from gcpose_trt.plugins.library import LIBRARY_NAME
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.triton.configs import MARK, Plan
from gcpose_trt.triton.python_models import FRAME, PICTURE

OURS = f"<!-- {MARK}"
_MATRIX = "https://docs.nvidia.com/deeplearning/frameworks/support-matrix/index.html"


def readme(plan: Plan, output: Path) -> str:
    """Return the text.

    Args:
        plan: what was exported.
        output: the repository, for the commands.
    """
    parts = [_head(plan), _start(plan, output), _ask(plan), _outputs(plan), _tuning(plan)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _head(plan: Plan) -> str:
    source, settings = plan.source, plan.settings
    size = settings.size or "the model's own"
    runs = {
        "onnxruntime": "Triton's ONNX Runtime backend",
        "tensorrt": "Triton's TensorRT backend",
        "python": "ONNX Runtime inside Triton's Python backend, on the CPU",
    }[source.runtime]
    return f"""{OURS} {__version__} -->
# {plan.name}: people and their joints, served by Triton

Model `{source.info.model}`, {source.precision}, weights {source.info.weights_sha256[:12]}, exported by gcpose-trt
{__version__}. Input size: {size}. The network runs in {runs}.

| model | takes | returns |
| --- | --- | --- |
| `{plan.name}` | `{PICTURE}`: BYTES [B, 1], an encoded picture each (JPEG, PNG, WebP) | the people |
| `{plan.frame}` | `{FRAME}`: UINT8 [B, H, W, 3], BGR | the people |
| `{settings.detector}` | letterboxed frames | features, boxes; called by the two above |
| `{settings.pose}` | features, boxes | joints; called by the two above |"""


def _start(plan: Plan, output: Path) -> str:
    lines = [
        "## Start the server",
        "",
        "The models that clients call are Python, so the server's image needs gcpose-trt. The target `triton` of "
        "`containers/desktop.Dockerfile` in its sources is one; or add it to NVIDIA's:",
        "",
        "```sh",
        f"TRITON={_release(plan)}   # yy.mm of the release",
        "docker build -t tritonserver-gcpose - <<EOF",
        "FROM nvcr.io/nvidia/tritonserver:$TRITON-py3",
        f"RUN PIP_BREAK_SYSTEM_PACKAGES=1 pip install --no-cache-dir gcpose-trt=={__version__} 'numpy<2'",
        "EOF",
        *_run(plan, output),
        "```",
        "",
        "`numpy<2`: Triton's Python backend reads the arrays of NumPy 2 wrongly (2.51, release 24.10, was tried). "
        "`--shm-size` matters: features go from model to model through shared memory, and Docker gives 64 MB of it. "
        "The server is ready when `curl -fs localhost:8000/v2/health/ready` succeeds; "
        "both halves of the network have run once by then.",
        "",
        "Only trusted clients should reach the ports: a JSON request that names a huge shape (`[1, 1099511627776]`) "
        "ends Triton 2.51 itself, before any model sees it. Have it started again when it ends (`--restart always`).",
    ]
    return "\n".join([*lines, *_backend_notes(plan)])


def _release(plan: Plan) -> str:
    return "<yy.mm>" if plan.source.runtime == "tensorrt" else "25.08"


def _run(plan: Plan, output: Path) -> list[str]:
    gpus = {"python": "", "onnxruntime": " ${GPUS:-}", "tensorrt": " --gpus all"}[plan.source.runtime]
    if plan.source.plugins is not None:
        gpus += " -e GCPOSE_REGISTER_ON_LOAD=1"
    lines = [
        f"docker run --rm{gpus} --shm-size=2g -p 8000:8000 -p 8001:8001 -p 8002:8002 \\",
        f"    -v '{output.resolve()}':/models:ro tritonserver-gcpose \\",
        "    tritonserver --model-repository=/models",
    ]
    if plan.source.plugins is not None:
        lines[-1] += " \\"
        lines.append(f"    --backend-config=tensorrt,plugins=/models/{plan.settings.detector}/{LIBRARY_NAME}")
    return lines


def _backend_notes(plan: Plan) -> list[str]:
    source = plan.source
    if source.runtime == "python":
        return ["", "Any release of Triton with Python 3.10 or later serves it (23.01 and later), without a GPU too."]
    if source.runtime == "onnxruntime":
        return [
            "",
            "With `GPUS='--gpus all'` the network runs on the GPU, without on the CPU (`KIND_AUTO`). A Triton without "
            "the ONNX Runtime backend: export again with `--runtime python`.",
        ]
    engine = source.engine
    assert engine is not None
    where = f"{engine.gpu.name} (compute capability {engine.gpu.compute_capability})" if engine.gpu else "its GPU"
    lines = [
        "",
        f"The engines run with TensorRT {engine.tensorrt} only, on {where}, {engine.os}. Which release of Triton has "
        f"it: the row TensorRT of {_MATRIX}, or ask an image:",
        "",
        "```sh",
        "docker run --rm nvcr.io/nvidia/tritonserver:<yy.mm>-py3 sh -c \"dpkg -l 'libnvinfer*' | grep ^ii\"",
        "```",
        "",
        f"None has it: build the engines inside the release's own image, with `{engine.command}`, and export again.",
    ]
    if source.plugins is not None:
        lines += [
            "",
            f"The engines have plugins of `{LIBRARY_NAME}` in them; it lies beside the detector. "
            "`--backend-config=tensorrt,plugins=` makes Triton open it, `GCPOSE_REGISTER_ON_LOAD=1` makes it register "
            "its plugins then.",
        ]
    return lines


def _ask(plan: Plan) -> str:
    return f"""## Ask

A picture as it is, with nothing but curl. The answer is a JSON object that names outputs and shapes, then their bytes
(little endian) in the same order; the header `Inference-Header-Content-Length` gives the length of the JSON:

```sh
curl -s localhost:8000/v2/models/{plan.name}/infer \\
    -H 'Inference-Header-Content-Length: 0' -H 'Content-Type: application/octet-stream' \\
    --data-binary @picture.jpg --dump-header head.txt --output answer.bin
head -c "$(tr -d '\\r' < head.txt | sed -n 's/^Inference-Header-Content-Length: //p')" answer.bin
```

From Python (`pip install 'tritonclient[http,grpc]'`), over HTTP:

```python
import numpy as np
import tritonclient.http as triton  # or tritonclient.grpc, port 8001

client = triton.InferenceServerClient("localhost:8000")
data = np.frombuffer(open("picture.jpg", "rb").read(), np.uint8)
picture = triton.InferInput("{PICTURE}", [1, 1], "BYTES")
picture.set_data_from_numpy(np.array([[data.tobytes()]], object))
answer = client.infer("{plan.name}", [picture], parameters={{"min_score": "0.5", "max_people": 10}})
for person in range(answer.as_numpy("count")[0, 0]):
    print(answer.as_numpy("scores")[0, person], answer.as_numpy("boxes")[0, person])
```

The same over gRPC, with raw frames:

```python
import cv2
import tritonclient.grpc as triton

client = triton.InferenceServerClient("localhost:8001")
pixels = cv2.imread("picture.jpg")[None]
frame = triton.InferInput("{FRAME}", list(pixels.shape), "UINT8")
frame.set_data_from_numpy(pixels)
answer = client.infer("{plan.frame}", [frame])
print(answer.as_numpy("keypoints")[0])
```

`min_score` and `max_people` are optional parameters of a request (a float is passed as text: Triton's parameters are
text, whole numbers and truth values). A picture that cannot be read gets an error of one line; requests that were
gathered with it are answered."""


def _outputs(plan: Plan) -> str:
    names = ", ".join(COCO17.names)
    return f"""## What comes back

| output | type | what |
| --- | --- | --- |
| `count` | INT32 [B, 1] | people in each picture |
| `boxes` | FP32 [B, N, 4] | x1, y1, x2, y2 |
| `scores` | FP32 [B, N] | that the box holds a person, 0..1, falling |
| `keypoints` | FP32 [B, N, 17, 3] | x, y, confidence 0..1 of each joint; worth drawing from \
{plan.source.info.keypoint_threshold:g} |

N is the number of people in the picture of the request that has most; rows beyond `count` are zero. Coordinates are
pixels of the picture as it was sent (turned upright, if its EXIF says so), (0, 0) is the top left corner of the top
left pixel. Joints: {names}."""


def _tuning(plan: Plan) -> str:
    settings = plan.settings
    return f"""## Speed

- Up to {settings.batch} frames go through the network together; a request waits at most {plan.queue_delay} us for
  others (`dynamic_batching` in `{plan.name}/config.pbtxt`). A longer wait gives more pictures a second under load and a
  later answer without. Only frames with the same size in the network go together: cameras of one size batch best.
- {plan.instances} cop{"y" if plan.instances == 1 else "ies"} of the network (`instance_group`); on a GPU two often hide
  the copies to and from it, on a CPU one uses all cores.
- A result can differ in its last bits with the number of frames that went through the network together.
- Measure with: `perf_analyzer -m {plan.frame} --shape {FRAME}:1080,1920,3 --concurrency-range 1:8`
- Metrics for Prometheus at `localhost:8002/metrics`: `nv_inference_request_success`, `nv_inference_queue_duration_us`,
  `nv_inference_compute_infer_duration_us` and `nv_inference_exec_count` (requests over executions is the mean batch) by
  model."""
