# The worker. Build stage: what the lock pins, and Innervate itself; the image keeps only what they install.
# Sandbox, demo, simulator and scripted model stay behind (`.dockerignore`): the image has no command `simulate`.
# The digest is that of the tag for all platforms, as it was published on 2026-10-01; `make base-image` renews it.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build
WORKDIR /src
COPY deploy/requirements.lock deploy/
# The environment has no pip: the base's installs into it. Wheels alone, so that nothing has to be compiled.
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        -r deploy/requirements.lock
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY agents agents
COPY app app
COPY outbox outbox
COPY tables tables
RUN pip install --no-cache-dir setuptools==84.2.1 wheel==0.48.0 \
    && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM ${BASE}
# Nothing can be installed in it any more.
RUN python -m pip uninstall --yes --quiet pip setuptools wheel \
    && groupadd --gid 10001 innervate \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin innervate \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
COPY --from=build /venv /venv
# The root file system may be read-only: the windows are written to /data, and at most temporary files to /tmp.
ENV PATH=/venv/bin:$PATH \
    HOME=/home/innervate \
    DATADIR=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Which build of the release this is, such as a commit: what decided, as decisions name it.
ARG RELEASE_BUILD=
ENV RELEASE_BUILD=${RELEASE_BUILD}
# Where a domain of your own is looked for; nothing is written there.
WORKDIR /home/innervate
# By number, so that Kubernetes sees that it is not root.
USER 10001:10001
VOLUME /data
EXPOSE 6066
# Readiness says whether work gets done; a worker that is alive and stuck must not look healthy.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD \
    ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"WEB_PORT\") or 6066}/health/ready', timeout=5)"]
# Everything in flight is finished and committed; orchestrators wait 60 s for it, see docs/operations.md.
STOPSIGNAL SIGTERM
# No shell between: the worker itself gets the signal.
ENTRYPOINT ["innervate"]
CMD ["worker", "-l", "info"]
