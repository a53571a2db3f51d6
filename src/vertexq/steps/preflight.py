"""Preflight: find out what would fail a job, before the first upload and the first paid call."""

from __future__ import annotations

import asyncio

from vertexq.errors import NotFound, Refused
from vertexq.families import family_for
from vertexq.model import GcsUri, SourceKind, Submission
from vertexq.steps.services import Services
from vertexq.steps.survey import Finding, Place, Surveyor, Weight


async def preflight(services: Services, submission: Submission) -> None:
    """Return when nothing speaks against a submission; raise ``NotFound`` or ``Refused`` with the reason.

    Both mean that a person must mend something; enqueued again, the submission goes on. What could not be
    found out, and what may go wrong, is logged and lets it pass; so does the rest, unless
    ``options.preflight_parks``.
    """
    place = place_of(services, submission)
    looks = Surveyor(services.storage, services.vertex).looks(place)
    found = await asyncio.gather(*[services.surveyed.once(key, look) for key, look in looks.items()])
    for finding in found:
        if finding.weight is Weight.ERROR and services.options.preflight_parks:
            raise refusal(finding)


def place_of(services: Services, submission: Submission) -> Place:
    """Return what a submission needs of Google."""
    options = services.options
    gcs = submission.source_kind is SourceKind.GCS
    return Place(
        project=submission.project or options.project,
        location=submission.location or options.location,
        model=submission.model,
        staging=options.staging,
        same_region=family_for(submission).same_region,
        read_in_place=submission.policy.in_place,
        sources=tuple(GcsUri.parse(uri) for uri in submission.sources) if gcs else (),
    )


def refusal(finding: Finding) -> Refused:
    """Return the error that a finding stands for."""
    error = finding.error
    if isinstance(error, NotFound):
        return NotFound(finding.text, status=error.status, code=error.code)
    return Refused(finding.text, status=403, code="PERMISSION_DENIED")
