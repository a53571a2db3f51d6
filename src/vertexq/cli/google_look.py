"""What the doctor asks Google: the same as a submission's preflight, each with the credentials it needs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from vertexq.errors import Refused
from vertexq.google.auth import default_tokens
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex, base_url
from vertexq.model import GcsUri
from vertexq.settings import Settings
from vertexq.steps.survey import Finding, Surveyor, Weight

GOOGLE_DEADLINE_S = 10.0


async def look_at_staging(settings: Settings) -> Finding:
    """Find out whether the staging bucket is there, with the rights that are needed."""
    return await _look(settings, lambda who: who.staging(_staging(settings)), vertex=False)


async def look_at_region(settings: Settings) -> Finding:
    """Find out whether the bucket is where the jobs run."""
    bucket = _staging(settings).bucket
    return await _look(
        settings, lambda who: who.region(bucket, settings.location, strict=False), vertex=False
    )


async def look_at_agent(settings: Settings) -> Finding:
    """Find out whether Vertex AI's service agent may use the bucket."""
    bucket, project, location = _staging(settings).bucket, settings.project, settings.location
    return await _look(settings, lambda who: who.agent(bucket, project, location))


async def look_at_model(settings: Settings, model: str) -> Finding:
    """Find out whether the location knows a model."""
    return await _look(settings, lambda who: who.model(settings.location, model), storage=False)


async def look_at_jobs(settings: Settings) -> str:
    """List a job; return who answered. Raise the error when Google does not."""
    async with _transport(emulator=bool(settings.vertex_endpoint)) as transport:
        vertex = Vertex(transport, endpoint=settings.vertex_endpoint)
        async for _job in vertex.list(settings.project, settings.location, page_size=1):
            break
    return base_url(settings.location, settings.vertex_endpoint)


def unreachable(finding: Finding) -> bool:
    """Tell whether a look found nothing because nobody answered it."""
    unknown = finding.weight is Weight.UNKNOWN and finding.error is not None
    return unknown and not isinstance(finding.error, Refused)


async def _look(
    settings: Settings,
    look: Callable[[Surveyor], Awaitable[Finding]],
    *,
    storage: bool = True,
    vertex: bool = True,
) -> Finding:
    """Look with credentials, unless every service that is asked is a simulated one."""
    asked = [settings.storage_endpoint] * storage + [settings.vertex_endpoint] * vertex
    async with _transport(emulator=all(asked)) as transport:
        surveyor = Surveyor(
            Storage(transport, endpoint=settings.storage_endpoint),
            Vertex(transport, endpoint=settings.vertex_endpoint),
        )
        return await look(surveyor)


def _staging(settings: Settings) -> GcsUri:
    return GcsUri.parse(settings.staging)


@asynccontextmanager
async def _transport(*, emulator: bool) -> AsyncGenerator[Transport]:
    async with Transport(await default_tokens(emulator=emulator), deadline_s=GOOGLE_DEADLINE_S) as transport:
        yield transport
