"""What beat sends: one tick, that finds everything else that is due."""

from __future__ import annotations

from vertexq.names import QUEUE_OF, TaskName


def schedule(sweep_interval_s: float) -> dict[str, dict[str, object]]:
    """Return Celery's beat schedule: a sweep every ``sweep_interval_s`` seconds.

    A tick that waited for two intervals is dropped, as the next one does the same work; so ticks do not
    pile up while no worker runs. A second beat is harmless: sweepers get disjoint records.
    """
    return {
        "sweep": {
            "task": TaskName.SWEEP.value,
            "schedule": sweep_interval_s,
            "options": {"queue": QUEUE_OF[TaskName.SWEEP].value, "expires": 2 * sweep_interval_s},
        }
    }
