"""Tuned Gemini: a project's own model, or the endpoint it is deployed to; rows and answers are Gemini's.

Jobs name models, not endpoints: ``steps/stage_model.py`` looks up the model behind an endpoint.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from vertexq.families import gemini
from vertexq.families.online import OnlineWay
from vertexq.families.own_models import Made, in_its_region_only, is_own

MADE = Made(source_type="GENIE", said="a tuned Gemini model")

FAMILY = replace(
    gemini.FAMILY,
    name="gemini-tuned",
    example="projects/P/locations/us-central1/models/1234567890",
    accepts=is_own,
    made=MADE,
    refusal=partial(in_its_region_only, MADE),
    online=OnlineWay(by_endpoint=True),
)
