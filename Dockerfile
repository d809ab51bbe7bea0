# The image of the Thread Model Lab: a virtual environment, an unprivileged user, no build tools.
#
#   docker compose up --build                     the usual way: docs/deploy.md
#   docker build --build-arg BASE=… .             on another base: any with Python ≥ 3.11, venv, and useradd
#   docker build --build-arg LOCK=requirements-cluster.lock .    with the extra `cluster`, for members of a cluster
#
# Offline: put the wheels of LOCK and requirements-build.lock into deploy/wheelhouse (or WHEELHOUSE=…).
# No BuildKit feature is used, so that older container engines can build it.

ARG BASE=python:3.14-slim

FROM ${BASE} AS build
ARG WHEELHOUSE=deploy/wheelhouse
COPY ${WHEELHOUSE}/ /wheelhouse/
WORKDIR /src
ARG LOCK=requirements.lock
COPY requirements.lock requirements-cluster.lock requirements-build.lock ./
# /opt/threadlab becomes part of the image; /opt/build, the build system of the lab's wheel, does not.
RUN python3 -m venv /opt/build \
 && python3 -m venv /opt/threadlab \
 && set -- --no-cache-dir --disable-pip-version-check --require-hashes \
 && if ls /wheelhouse/*.whl >/dev/null 2>&1; then set -- "$@" --no-index --find-links /wheelhouse; fi \
 && /opt/build/bin/pip install "$@" --requirement requirements-build.lock \
 && /opt/threadlab/bin/pip install "$@" --requirement ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY engines engines
COPY templates templates
COPY static static
# The wheel contains templates and static, so /src is not needed afterwards. pip removes itself last.
RUN set -- --no-cache-dir --disable-pip-version-check --no-deps --no-index \
 && /opt/build/bin/pip wheel "$@" --no-build-isolation --wheel-dir /dist . \
 && /opt/threadlab/bin/pip install "$@" /dist/threadlab-*.whl \
 && /opt/threadlab/bin/pip uninstall --yes pip

FROM ${BASE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin threadlab \
 && install --directory --owner=threadlab --group=threadlab --mode=0700 /data /certificates \
      /certificates/lab /certificates/scheduler /certificates/worker
COPY --from=build /opt/threadlab /opt/threadlab

# THREADLAB_TOKEN must be set, too: without it the lab listens on loopback only.
ENV PATH=/opt/threadlab/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    THREADLAB_HOST=0.0.0.0 \
    THREADLAB_PORT=8000 \
    THREADLAB_ENGINE_HOST=0.0.0.0 \
    THREADLAB_ENGINE_PORTS=8101-8110 \
    THREADLAB_DATA_DIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 8000 8101-8110
USER 10001:10001

# A plain socket and -I -S, because it runs during measurements: 15 ms of CPU instead of 41 ms with urllib.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python3", "-I", "-S", "-c", "import os, socket; s = socket.create_connection(('127.0.0.1', int(os.environ['THREADLAB_PORT'])), 4); s.sendall(b'GET /readyz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n'); raise SystemExit(b' 200 ' not in s.recv(64))"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["threadlab", "serve"]
