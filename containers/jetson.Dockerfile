# Image for Jetson Orin with JetPack 6.1 or 6.2 (L4T 36.4: CUDA 12.6, TensorRT 10.3); the build context is the repository.
#   docker build -f containers/jetson.Dockerfile -t gcpose-trt:jetson .
# Build it on the Jetson, or on another machine for linux/arm64; README.md beside this file says how it is run.

ARG BUILD_BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0
# NVIDIA's smaller l4t-tensorrt:r10.3.0-runtime does as well if it has TensorRT for Python; the build asks.
ARG RUN_BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0
ARG EXTRAS=web,mqtt,batch

FROM ${BUILD_BASE} AS build
ARG EXTRAS
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ python3-venv \
    && rm -rf /var/lib/apt/lists/*
# TensorRT's Python package is JetPack's own and not on PyPI: the environment takes it from the system. Without it the
# image would build and then find no TensorRT, hence the question; importing it would need the board's driver.
RUN python3 -m venv --system-site-packages /opt/gcpose-trt \
    && /opt/gcpose-trt/bin/python -c "import importlib.util as u, sys; sys.exit(None if u.find_spec('tensorrt') else 'this base image has no TensorRT for Python')"
WORKDIR /source
COPY . .
# 87 is Orin, the only family that JetPack 6 runs on. Bindings of CUDA 12, for the driver is of that.
RUN /opt/gcpose-trt/bin/pip install --no-cache-dir --disable-pip-version-check "cuda-bindings==12.*" ".[tensorrt,${EXTRAS}]" \
    && /opt/gcpose-trt/bin/gcpose-trt plugins build --arch 87 --output /opt/gcpose-trt/plugins

FROM ${RUN_BASE} AS jetson
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gcpose-trt" \
      org.opencontainers.image.description="People and their joints in videos and cameras, on NVIDIA Jetson" \
      org.opencontainers.image.source="https://git.example.org/gcpose-trt.git" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# csi:// runs gst-launch-1.0; its element nvarguscamerasrc is the board's, brought in by the NVIDIA runtime, and needs EGL.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        gstreamer1.0-plugins-base \
        gstreamer1.0-plugins-good \
        gstreamer1.0-tools \
        libegl1 \
        libgles2 \
        python3 \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -c "import importlib.util as u, sys; sys.exit(None if u.find_spec('tensorrt') else 'this base image has no TensorRT for Python')" \
    && groupadd --gid 10001 gcpose \
    && useradd --uid 10001 --gid 10001 --groups video --no-create-home --home-dir /cache --shell /usr/sbin/nologin gcpose \
    && install -d -o 10001 -g 10001 /cache /engines /models /output
COPY --from=build /opt/gcpose-trt /opt/gcpose-trt
COPY containers/healthcheck.py /opt/gcpose-trt/healthcheck.py
# video: cameras and the ISP, beside what computes.
ENV PATH=/opt/gcpose-trt/bin:$PATH \
    GCPOSE_PLUGINS=/opt/gcpose-trt/plugins/libgcpose_plugins.so \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video,graphics \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /output
VOLUME ["/cache", "/engines", "/models", "/output"]
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=6s --start-period=90s --retries=3 \
    CMD ["/opt/gcpose-trt/bin/python", "/opt/gcpose-trt/healthcheck.py"]
ENTRYPOINT ["gcpose-trt"]
# The engine is made on the board, by build-engine, before the first start; see README.md.
CMD ["demo", "--quiet", "--model", "/engines/mobile", "--source", "csi://0", "--web", "0.0.0.0:8080"]
