"""Look before anything is paid: the bucket, the rights on it, its region, the service agent, the model.

Each look asks Google one thing and ends in a ``Finding``. What is unsure is ``UNKNOWN`` and keeps nobody from
going on: only what is certain is an ``ERROR``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

from vertexq.errors import NotFound, Refused, Unreachable, VertexqError
from vertexq.families import family_named, named_by
from vertexq.families.own_models import OwnName
from vertexq.google.messages import BucketInfo
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.model import GcsUri
from vertexq.steps.regions import holds

LOOK_S = 10.0
"""How long a look may take; then it is unknown."""
GET, LIST = "storage.objects.get", "storage.objects.list"
CREATE, DELETE = "storage.objects.create", "storage.objects.delete"
READING = frozenset({GET, LIST})
WRITING = frozenset({CREATE, DELETE})
_NOT_THERE = frozenset({"notFound", "NOT_FOUND"})  # Cloud Storage's word and Vertex AI's
_FORBIDDEN = 403
PROBE = "vertexq-preflight"
"""The last word of a name under which nothing is ever stored."""
_AGENT_ROLES = "roles/storage.objectAdmin and roles/storage.legacyBucketReader"


class Weight(StrEnum):
    """What a finding means for a submission."""

    FINE = "fine"
    UNKNOWN = "unknown"  # could not be found out; go on
    WARNING = "warning"  # may go wrong, or cost more; go on
    ERROR = "error"  # a job would fail, perhaps after it was paid for


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look found. ``text`` says what is wrong and what to do; ``error`` is what it ran into."""

    about: str
    weight: Weight
    text: str
    error: VertexqError | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a submission's jobs run, and what they read and write."""

    project: str
    location: str
    model: str = ""
    staging: GcsUri
    sources: tuple[GcsUri, ...] = ()
    same_region: bool = False  # Google demands it of this kind of model
    read_in_place: bool = False  # jobs read the sources themselves, no copies


Look = Callable[[], Awaitable[Finding]]


class Surveyor:
    """Asks Google, with the clients of this process; every look ends in a finding and raises nothing."""

    def __init__(self, storage: Storage, vertex: Vertex, *, look_s: float = LOOK_S) -> None:
        self._storage = storage
        self._vertex = vertex
        self._look_s = look_s

    def looks(self, place: Place) -> dict[tuple[str, ...], Look]:
        """Return the looks that a place needs, by what each depends on."""
        location, model, strict = place.location, place.model, place.same_region
        sources = {uri.bucket: uri for uri in reversed(place.sources)}  # the first of each bucket
        found: dict[tuple[str, ...], Look] = {
            ("staging", str(place.staging)): partial(self.staging, place.staging)
        }
        for bucket in {place.staging.bucket, *(sources if place.read_in_place else ())}:
            near = partial(self.region, bucket, location, strict=strict)
            found["region", bucket, location, str(strict)] = near
            found["agent", bucket, place.project, location] = partial(
                self.agent, bucket, place.project, location
            )
        if model:
            found["model", location, model] = partial(self.model, location, model)
        for source in sources.values():
            found["source", str(source)] = partial(self.source, source)
        return found

    async def staging(self, place: GcsUri) -> Finding:
        """Find out whether the staging bucket is there and this caller may read and write at this place."""

        async def look() -> Finding:
            missing = await self._missing(place, READING | WRITING)
            probe = place.join(PROBE)
            certain = [right for right in missing if await self._refused(probe, right)]
            return rights_finding("staging", place, missing, certain, role="objectAdmin")

        return await self._sure("staging", look())

    async def source(self, source: GcsUri) -> Finding:
        """Find out whether this caller may read a source: an object, or many when its name has a ``*``."""
        many = "*" in source.name or not source.name or source.name.endswith("/")
        needed = READING if many else frozenset({GET})
        probe = replace(source, name=source.name.partition("*")[0] + PROBE) if many else source

        async def look() -> Finding:
            missing = await self._missing(source, needed)
            certain = [right for right in missing if await self._refused(probe, right)]
            return rights_finding("source", source, missing, certain, role="objectViewer")

        return await self._sure("source", look())

    async def _missing(self, place: GcsUri, needed: Collection[str]) -> list[str]:
        return sorted(frozenset(needed) - await self._storage.granted(place.bucket, needed))

    async def _refused(self, probe: GcsUri, right: str) -> bool:
        """Tell whether Google refuses the act itself: a condition may grant a right below a prefix only."""
        try:
            if right == CREATE:
                return not await self._storage.may_create(probe)
            if right == LIST:
                async with aclosing(self._storage.list(probe)) as objects:
                    await anext(objects, None)
            elif right == GET:
                await self._storage.info(probe)
        except NotFound:
            return False
        except Refused as error:
            return error.status == _FORBIDDEN
        return False

    async def region(self, bucket: str, location: str, *, strict: bool) -> Finding:
        """Find out whether the bucket is where the jobs run."""

        async def look() -> Finding:
            return region_finding(await self._storage.bucket(bucket), bucket, location, strict=strict)

        return await self._sure("region", look())

    async def agent(self, bucket: str, project: str, location: str) -> Finding:
        """Find out whether Vertex AI's service agent may read and write in the bucket."""

        async def look() -> Finding:
            number = project if project.isdigit() else await self._project_number(project, location)
            if not number:
                return _unknown("agent", f"no job of {project} in {location} yet, so its number is not known")
            members, info = await asyncio.gather(self._storage.members(bucket), self._storage.bucket(bucket))
            return agent_finding(members, info, bucket, number)

        return await self._sure("agent", look())

    async def model(self, location: str, model: str) -> Finding:
        """Find out whether the location knows the model."""

        async def look() -> Finding:
            family = named_by(model)
            if family and (why := family_named(family).refusal(model, location)):
                return Finding(about="model", weight=Weight.ERROR, text=why)
            own = OwnName.parse(model)
            if own and own.is_endpoint:
                deployed = await self._vertex.deployed_models(location, model)
                return _fine("model", f"the endpoint {own.id} serves {', '.join(deployed) or 'no model'}")
            name = await self._vertex.model(location, model)
            return _fine("model", f"{location} knows {name}")

        return await self._sure("model", look())

    async def _sure(self, about: str, look: Awaitable[Finding]) -> Finding:
        """Return what was found; whatever keeps from looking is no finding against anyone."""
        try:
            async with asyncio.timeout(self._look_s):
                return await look
        except TimeoutError:
            silent = Unreachable(f"Google did not answer within {self._look_s:g} s; try again later")
            return Finding(about=about, weight=Weight.UNKNOWN, text=str(silent), error=silent)
        except NotFound as error:
            certain = error.code in _NOT_THERE
            weight = Weight.ERROR if certain else Weight.UNKNOWN  # an emulator's, or a proxy's
            return Finding(about=about, weight=weight, text=str(error), error=error)
        except VertexqError as error:
            return Finding(about=about, weight=Weight.UNKNOWN, text=str(error), error=error)

    async def _project_number(self, project: str, location: str) -> str:
        """Return the number that stands in the names of a project's jobs; empty when it has none yet."""
        async with aclosing(self._vertex.list(project, location, page_size=1)) as jobs:
            job = await anext(jobs, None)
        number = job.name.split("/")[1] if job else ""
        return number if number.isdigit() else ""


def rights_finding(
    about: str, place: GcsUri, missing: Sequence[str], certain: Sequence[str], *, role: str
) -> Finding:
    """Judge the rights that are ``missing`` on the whole bucket, of which some are for ``certain``."""
    if certain:
        text = (
            f"these credentials lack {', '.join(certain)} on {place}; grant their account "
            f"roles/storage.{role} on the bucket {place.bucket}"
        )
        return Finding(about=about, weight=Weight.ERROR, text=text)
    if DELETE in missing:
        text = (
            f"these credentials lack {DELETE} on {place.bucket}: what an interrupted staging left cannot be "
            f"replaced; grant their account roles/storage.{role} on the bucket"
        )
        return Finding(about=about, weight=Weight.WARNING, text=text)
    return _fine(about, f"gs://{place.bucket} is there, with the rights that are needed")


def region_finding(info: BucketInfo, bucket: str, location: str, *, strict: bool) -> Finding:
    """Judge where a bucket is."""
    near = holds(info, location)
    if near is None:
        return _unknown("region", f"Google does not say where gs://{bucket} is")
    if near:
        return _fine("region", f"gs://{bucket} is in {info.location}{_kept(info)}")
    text = (
        f"gs://{bucket} is in {info.location} and the jobs run in {location}: "
        + ("Google refuses that for this model" if strict else "slower, and moving the data costs extra")
        + f"; stage in a bucket of {location}, or run the jobs where the bucket is"
    )
    return Finding(about="region", weight=Weight.ERROR if strict else Weight.WARNING, text=text)


def _kept(info: BucketInfo) -> str:
    if not info.soft_delete_s:
        return ""
    days = info.soft_delete_s // 86_400
    return f"; it keeps deleted objects for {days} days, which is billed: turn its soft delete off"


def agent_finding(members: Collection[str], info: BucketInfo, bucket: str, number: str) -> Finding:
    """Judge whom a bucket's policy names. Google gives the agent rights on buckets of its own project."""
    agent = f"service-{number}@gcp-sa-aiplatform.iam.gserviceaccount.com"
    if {f"serviceAccount:{agent}", "allUsers", "allAuthenticatedUsers"} & set(members):
        return _fine("agent", f"{agent} is named in the policy of gs://{bucket}")
    if info.project_number == number:
        text = (
            f"{agent} is not named in the policy of gs://{bucket}; its role in the project should be enough"
        )
        return _unknown("agent", text)
    text = (
        f"the policy of gs://{bucket}, a bucket of another project, does not name {agent}: jobs may fail "
        f"after they were paid for; grant that account {_AGENT_ROLES} on the bucket"
    )
    return Finding(about="agent", weight=Weight.WARNING, text=text)


def _fine(about: str, text: str) -> Finding:
    return Finding(about=about, weight=Weight.FINE, text=text)


def _unknown(about: str, text: str) -> Finding:
    return Finding(about=about, weight=Weight.UNKNOWN, text=text)
