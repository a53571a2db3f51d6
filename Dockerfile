# One image for worker, beat, Flower and the simulator; the command decides (docker-compose.yml has them).
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VERTEXQ_HOME=/var/lib/vertexq \
    PATH=/opt/vertexq/bin:$PATH

RUN useradd --system --uid 10001 --home-dir /var/lib/vertexq --create-home vertexq \
    && python -m venv /opt/vertexq
WORKDIR /srv/vertexq

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[worker,postgres,flower,schema]'

COPY config ./config
COPY tasks ./tasks
COPY worker ./worker

USER vertexq
VOLUME /var/lib/vertexq
CMD ["python", "-m", "celery", "-A", "worker", "-q", "worker", "--without-gossip", "--without-mingle"]
