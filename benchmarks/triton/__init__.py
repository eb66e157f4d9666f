"""An exported model in a real Triton server: `python -m benchmarks.triton`."""
