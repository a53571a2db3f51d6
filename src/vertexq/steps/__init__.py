"""The steps: the story of the system, one file a step."""

from vertexq.steps.cancel import cancel
from vertexq.steps.create import create
from vertexq.steps.deadline import deadline
from vertexq.steps.deliver import deliver
from vertexq.steps.dispatch import dispatch
from vertexq.steps.endpoints import operate, order
from vertexq.steps.enqueue import enqueue
from vertexq.steps.ingest import ingest
from vertexq.steps.online import online
from vertexq.steps.poll import poll
from vertexq.steps.rerun import rerun
from vertexq.steps.settle import settle
from vertexq.steps.stage import stage
from vertexq.steps.sweep import sweep

__all__ = [
    "cancel",
    "create",
    "deadline",
    "deliver",
    "dispatch",
    "enqueue",
    "ingest",
    "online",
    "operate",
    "order",
    "poll",
    "rerun",
    "settle",
    "stage",
    "sweep",
]
