"""vertexq: a durable queue for Vertex AI batch prediction.

Names are loaded when they are first used, so that ``import vertexq`` costs a producer next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vertexq.async_client import AsyncClient
    from vertexq.client import Client
    from vertexq.errors import (
        BadInput,
        BadSettings,
        BadSource,
        IdConflict,
        NotDone,
        UnknownModel,
        UnknownStore,
        UnknownSubmission,
        Unreachable,
        VertexqError,
    )
    from vertexq.events import Event, EventKind
    from vertexq.model import Policy, Submission
    from vertexq.progress import ProgressBar
    from vertexq.results import Outcome, Result
    from vertexq.states import BatchState, SubmissionState
    from vertexq.status import Status

__all__ = [
    "AsyncClient",
    "BadInput",
    "BadSettings",
    "BadSource",
    "BatchState",
    "Client",
    "Event",
    "EventKind",
    "IdConflict",
    "NotDone",
    "Outcome",
    "Policy",
    "ProgressBar",
    "Result",
    "Status",
    "Submission",
    "SubmissionState",
    "UnknownModel",
    "UnknownStore",
    "UnknownSubmission",
    "Unreachable",
    "VertexqError",
]

_HOME = {
    "AsyncClient": "async_client",
    "BatchState": "states",
    "Client": "client",
    "Event": "events",
    "EventKind": "events",
    "Outcome": "results",
    "Policy": "model",
    "ProgressBar": "progress",
    "Result": "results",
    "Status": "status",
    "Submission": "model",
    "SubmissionState": "states",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module it lives in."""
    if name not in __all__:
        raise AttributeError(f"module 'vertexq' has no attribute {name!r}")
    return getattr(import_module(f"vertexq.{_HOME.get(name, 'errors')}"), name)
