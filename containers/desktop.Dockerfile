# Images for desktops and servers; the build context is the repository.
#   docker build -f containers/desktop.Dockerfile -t gcpose-trt:gpu .                NVIDIA GPU, TensorRT
#   docker build -f containers/desktop.Dockerfile -t gcpose-trt:cpu --target cpu .   any machine
#   docker build -f containers/desktop.Dockerfile -t gcpose-trt:triton --target triton .
# README.md beside this file says how they are run.

# One version of Python for all stages: Triton's and Ubuntu 24.04's, so that packages can move between them.
ARG PYTHON=3.12
# 12.9.1 serves drivers of CUDA 12; the packages below follow it.
ARG CUDA=13.0.2
# The headers, which the plugins are compiled with, and the library, which loads them, are of this version.
ARG TENSORRT=10.13.3.9
ARG TRITON=25.10
# What pip installs beside the base: the live page, a broker, batches. Add ray for a Ray cluster.
ARG EXTRAS=web,mqtt,batch

# ---------------------------------------------------------------------------------------------------------------- CPU
FROM docker.io/library/python:${PYTHON}-slim-bookworm AS cpu-build
ARG EXTRAS
RUN python -m venv /opt/gcpose-trt
WORKDIR /source
COPY . .
RUN /opt/gcpose-trt/bin/pip install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]"

FROM docker.io/library/python:${PYTHON}-slim-bookworm AS cpu
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gcpose-trt" \
      org.opencontainers.image.description="People and their joints in videos and cameras, on CPUs" \
      org.opencontainers.image.source="https://git.example.org/gcpose-trt.git" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# Volumes that Docker makes take their owner from the folders here.
RUN groupadd --gid 10001 gcpose \
    && useradd --uid 10001 --gid 10001 --groups video --no-create-home --home-dir /cache --shell /usr/sbin/nologin gcpose \
    && install -d -o 10001 -g 10001 /cache /engines /models /output
COPY --from=cpu-build /opt/gcpose-trt /opt/gcpose-trt
COPY containers/healthcheck.py /opt/gcpose-trt/healthcheck.py
ENV PATH=/opt/gcpose-trt/bin:$PATH \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number and without a group: Kubernetes can tell that it is not root, and the user's groups, video, stay.
USER 10001
WORKDIR /output
VOLUME ["/cache", "/engines", "/models", "/output"]
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 \
    CMD ["/opt/gcpose-trt/bin/python", "/opt/gcpose-trt/healthcheck.py"]
ENTRYPOINT ["gcpose-trt"]
# For any address but its own machine's the page wants a token: the variable GCPOSE_TOKEN.
CMD ["demo", "--quiet", "--source", "pattern://", "--web", "0.0.0.0:8080"]

# ------------------------------------------------------------------------------------------------------------- Triton
# NVIDIA's server with what the exported model imports; the model repository is a volume.
FROM cpu-build AS triton-build
# The Python backend of Triton 2.51, which was tried, ends on the first array of NumPy 2.
RUN /opt/gcpose-trt/bin/pip install --no-cache-dir --disable-pip-version-check . "numpy<2"

FROM nvcr.io/nvidia/tritonserver:${TRITON}-py3 AS triton
ARG PYTHON
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gcpose-trt-triton" \
      org.opencontainers.image.description="NVIDIA Triton Inference Server with gcpose-trt's models" \
      org.opencontainers.image.source="https://git.example.org/gcpose-trt.git" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 gcpose \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /cache --shell /usr/sbin/nologin gcpose \
    && install -d -o 10001 -g 10001 /cache /models
COPY --from=triton-build /opt/gcpose-trt/lib/python${PYTHON}/site-packages /opt/gcpose-trt/site-packages
COPY containers/healthcheck.py /opt/gcpose-trt/healthcheck.py
ENV PYTHONPATH=/opt/gcpose-trt/site-packages \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
VOLUME ["/cache", "/models"]
EXPOSE 8000 8001 8002
HEALTHCHECK --interval=15s --timeout=6s --start-period=120s --retries=3 \
    CMD ["python3", "/opt/gcpose-trt/healthcheck.py", "8000", "/v2/health/ready"]
CMD ["tritonserver", "--model-repository=/models/triton", "--exit-on-error=true"]

# ---------------------------------------------------------------------------------------------------------------- GPU
FROM nvcr.io/nvidia/cuda:${CUDA}-devel-ubuntu24.04 AS gpu-build
ARG CUDA
ARG TENSORRT
ARG EXTRAS
# There is no GPU while an image is built, so the plugins are compiled for every one that this nvcc knows. Fewer, such
# as 89 or 87,90, are faster to compile.
ARG GPU_ARCHITECTURES=all
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        g++ \
        "libnvinfer-headers-dev=${TENSORRT}-1+cuda${CUDA%.*}" \
        python3 \
        python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/gcpose-trt
# TensorRT before the sources: a change of ours must not fetch it again. Its package fetches from NVIDIA's index.
RUN /opt/gcpose-trt/bin/pip install --no-cache-dir --disable-pip-version-check \
        --extra-index-url https://pypi.nvidia.com \
        "tensorrt-cu${CUDA%%.*}==${TENSORRT}.*" "cuda-bindings==${CUDA%%.*}.*"
WORKDIR /source
COPY . .
RUN /opt/gcpose-trt/bin/pip install --no-cache-dir --disable-pip-version-check ".[tensorrt,${EXTRAS}]" \
    && /opt/gcpose-trt/bin/gcpose-trt plugins build --arch "${GPU_ARCHITECTURES}" --output /opt/gcpose-trt/plugins

FROM nvcr.io/nvidia/cuda:${CUDA}-base-ubuntu24.04 AS gpu
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gcpose-trt" \
      org.opencontainers.image.description="People and their joints in videos and cameras, on NVIDIA GPUs with TensorRT" \
      org.opencontainers.image.source="https://git.example.org/gcpose-trt.git" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 gcpose \
    && useradd --uid 10001 --gid 10001 --groups video --no-create-home --home-dir /cache --shell /usr/sbin/nologin gcpose \
    && install -d -o 10001 -g 10001 /cache /engines /models /output
COPY --from=gpu-build /opt/gcpose-trt /opt/gcpose-trt
COPY containers/healthcheck.py /opt/gcpose-trt/healthcheck.py
# Of the driver, the container toolkit brings in what computes (compute) and nvidia-smi (utility).
ENV PATH=/opt/gcpose-trt/bin:$PATH \
    GCPOSE_PLUGINS=/opt/gcpose-trt/plugins/libgcpose_plugins.so \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /output
VOLUME ["/cache", "/engines", "/models", "/output"]
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 \
    CMD ["/opt/gcpose-trt/bin/python", "/opt/gcpose-trt/healthcheck.py"]
ENTRYPOINT ["gcpose-trt"]
# The engine is made for the GPU at hand, by build-engine, before the first start; see README.md.
CMD ["demo", "--quiet", "--model", "/engines/mobile", "--source", "0", "--web", "0.0.0.0:8080"]
