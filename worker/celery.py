"""The Celery app; ``python -m celery -A worker worker`` (or ``beat``) finds it here."""

from __future__ import annotations

import sys

from celery import Celery

from config import celeryconfig
from vertexq.errors import BadInput
from vertexq.names import TaskName
from vertexq.settings import Settings
from worker import lifecycle
from worker.schedule import schedule

TASK_MODULES = [f"tasks.{task.value.removeprefix('vertexq.')}" for task in TaskName]


def make_app(settings: Settings) -> Celery:
    """Return the app for ``settings``; nothing is connected."""
    app = Celery("vertexq", broker=settings.broker_url, include=TASK_MODULES)
    app.config_from_object(celeryconfig)
    app.conf.beat_schedule = schedule(settings.sweep_interval_s)
    return app


def read_settings() -> Settings:
    """Read the environment; end the process with one sentence (exit code 2) when it is wrong."""
    try:
        return Settings.from_env()
    except BadInput as error:
        print(f"vertexq: {error}", file=sys.stderr)  # noqa: T201  (there is no log yet)
        raise SystemExit(error.exit_code) from error


settings = read_settings()
app = make_app(settings)
lifecycle.connect(app, settings)
