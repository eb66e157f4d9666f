"""Serving a model with NVIDIA Triton Inference Server: a model repository, and what its models run."""
