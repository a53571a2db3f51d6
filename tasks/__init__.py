"""Celery tasks: one file a step, four lines each. They know no app and hold no logic."""
