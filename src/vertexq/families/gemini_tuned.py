"""Tuned Gemini: a project's own model, or the endpoint it is deployed to; rows and answers are Gemini's.

Jobs name models, not endpoints: ``steps/stage_model.py`` looks up the model behind an endpoint.
"""

from __future__ import annotations

from dataclasses import replace

from vertexq.families import gemini
from vertexq.families.online import OnlineWay
from vertexq.families.own_models import elsewhere, is_own

_GLOBAL = "global"


def refusal(model: str, location: str) -> str:
    """Say why jobs of a tuned model cannot run in a location; "" when they can.

    There are none on the global endpoint (Google's page on locations, "not supported on global", read
    2026-11-21).
    """
    if location == _GLOBAL:
        return (
            "a tuned Gemini model has no batch jobs on global; give the region that the model is in, and "
            "stage in a bucket there"
        )
    return elsewhere(model, location)


FAMILY = replace(
    gemini.FAMILY,
    name="gemini-tuned",
    example="projects/P/locations/us-central1/models/1234567890",
    accepts=is_own,
    refusal=refusal,
    online=OnlineWay(by_endpoint=True),
)
