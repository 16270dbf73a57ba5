# The worker. Build stage: wheels of what the lock pins, and of Innervate itself; the image keeps only what they install.
# Sandbox, demo, simulator and scripted model stay behind (`.dockerignore`): the image has no command `simulate`.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY deploy/requirements.lock deploy/
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r deploy/requirements.lock
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY agents agents
COPY app app
COPY outbox outbox
COPY tables tables
RUN pip install --no-cache-dir 'setuptools>=80' wheel \
    && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /venv/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --system --create-home --uid 10001 innervate && install -d -o innervate /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 DATADIR=/data
USER innervate
WORKDIR /home/innervate
VOLUME /data
EXPOSE 6066
# Readiness says whether work gets done; a worker that is alive and stuck must not look healthy.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6066/health/ready', timeout=5)"]
# Long enough for everything in flight to be committed; orchestrators should wait at least as long.
STOPSIGNAL SIGTERM
ENTRYPOINT ["innervate"]
CMD ["worker", "-l", "info"]
