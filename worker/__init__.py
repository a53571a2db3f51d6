"""The application that runs: Celery app, lifecycle, schedule, health, and all of it on one machine."""
