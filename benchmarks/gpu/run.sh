#!/usr/bin/env bash
# Builds, checks and times everything that needs a GPU:  benchmarks/gpu/run.sh [FOLDER]
#
# FOLDER (default: output/gpu) receives the library, the logs and kernels.json. PYTHON names the interpreter of an
# environment with gcpose-trt, PyTorch for CUDA and pytest (default: .venv/bin/python, else python3).
# Exit code: 0 all passed, 1 something failed, 2 nothing could be run here.
set -euo pipefail
output=$(realpath -m "${1:-output/gpu}")
cd "$(dirname "$0")/../.."

fail() {
    echo "error: $*" >&2
    exit 2
}

if [ -z "${PYTHON:-}" ]; then
    PYTHON=$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)
fi
# Jetson has no nvidia-smi before JetPack 6, but its GPU has this node.
nvidia-smi -L >/dev/null 2>&1 || [ -e /dev/nvhost-gpu ] || [ -e /dev/nvgpu ] ||
    fail "no NVIDIA GPU here; run this on a machine that has one"
"$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' >/dev/null 2>&1 ||
    fail "$PYTHON has no PyTorch that reaches the GPU; install one for CUDA, or name its interpreter in PYTHON"

mkdir -p "$output"
echo "== build"
"$PYTHON" -m gcpose_trt plugins build --output "$output"
export GCPOSE_PLUGINS="$output/libgcpose_plugins.so"

failed=0
echo "== check against PyTorch"
"$PYTHON" -m pytest -m gpu -v -rs tests 2>&1 | tee "$output/checks.log" || failed=1

# Sanitizers slow kernels down by up to a hundred times, so they see the small cases.
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck synccheck initcheck; do
        echo "== compute-sanitizer $tool"
        # Without its cache PyTorch gives each tensor memory of its own, whose ends the tool then knows.
        PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all \
            "$PYTHON" -m benchmarks.gpu.sanitize 2>&1 | tee "$output/$tool.log" || failed=1
    done
else
    echo "== compute-sanitizer is not installed: skipped"
fi

echo "== time"
"$PYTHON" -m benchmarks.gpu.kernels --library "$GCPOSE_PLUGINS" --json "$output/kernels.json" || failed=1
[ "$failed" = 0 ] && echo "all passed; times are in $output/kernels.json" || echo "something failed; see $output" >&2
exit "$failed"
