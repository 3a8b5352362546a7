# syntax=docker/dockerfile:1

FROM python:3.12.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.txt /tmp/requirements.txt
# Everything that is installed is pinned by its hash; pip compiles the bytecode, so the first start is quick.
RUN /opt/venv/bin/pip install --require-hashes -r /tmp/requirements.txt

FROM python:3.12.12-slim-bookworm
LABEL org.opencontainers.image.title="Agent Factory" \
      org.opencontainers.image.description="Back office for organisations that run fleets of AI agents"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    DATA_DIR=/data \
    HOST=0.0.0.0 \
    PORT=8000
RUN groupadd --gid 10001 af && useradd --uid 10001 --gid af --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin af \
    && install --directory --owner=af --group=af --mode=0700 /data
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY . .
RUN python -m compileall -q config core costs experiments slas alerts compliance backups manage.py
USER af
VOLUME /data
EXPOSE 8000
# The web server alone; compose runs worker and scheduler from the same image. Without any variable it would refuse to
# start in production, and say why.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["python", "manage.py"]
CMD ["up", "--no-worker", "--no-beat", "--no-prepare"]
