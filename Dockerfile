# The worker and the command line, without the embedded servers. Built with hashed wheels only; runs as an ordinary
# user on a read-only root: `docker run --read-only --tmpfs /tmp tallystream`.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /app && python -m venv /tools
COPY requirements-build.lock requirements.lock ./
RUN /tools/bin/pip install -q --require-hashes --only-binary :all: -r requirements-build.lock \
 && /app/bin/pip install -q --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY client client
COPY schemas schemas
COPY stream stream
COPY agents agents
COPY tally tally
RUN /tools/bin/pip wheel -q --no-index --no-deps --no-build-isolation -w wheels ./client . \
 && /app/bin/pip install -q --no-index --no-deps wheels/*.whl

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="Tallystream" \
      org.opencontainers.image.description="Usage events on Kafka become exact running totals in Redis" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number and not a name, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tally
COPY --from=build /app /app
# No bytecode is written at run time (pip wrote it above), and all that a worker writes goes to /tmp.
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    TALLY_LISTEN=0.0.0.0:6066 TALLY_DATA=/tmp/tally TALLY_METRICS=/etc/tallystream/metrics.yaml
USER 10001
WORKDIR /tmp
EXPOSE 6066
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6066/healthz/live', timeout=2)"]
ENTRYPOINT ["tally"]
CMD ["worker"]
