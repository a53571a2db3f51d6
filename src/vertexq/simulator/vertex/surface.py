"""The Vertex AI surface: batch prediction jobs, the operations that delete them, and models.

What it speaks is REST as the aiplatform v1 discovery document (revision 20261106) has it, as v1beta1 too.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from vertexq.errors import NotFound, Refused
from vertexq.simulator.access import Access
from vertexq.simulator.behaviour import Behaviour, Behaviours
from vertexq.simulator.creates import AcceptedCreate, Journal
from vertexq.simulator.exchanges import Exchange, Exchanges
from vertexq.simulator.faults import Faults
from vertexq.simulator.fieldmask import masked
from vertexq.simulator.filters import Facts, Predicate, job_filter
from vertexq.simulator.jobs import SimulatedJob
from vertexq.simulator.timing import Timing
from vertexq.simulator.vertex.admin import online_route, overlaps_route, vertex_admin_routes
from vertexq.simulator.vertex.buckets import BucketCalls
from vertexq.simulator.vertex.endpoint_book import EndpointBook
from vertexq.simulator.vertex.endpoints import Endpoints
from vertexq.simulator.vertex.gate import CREATE, Call, Gate
from vertexq.simulator.vertex.jobs import JobBook
from vertexq.simulator.vertex.models import Models
from vertexq.simulator.vertex.operations import Operations
from vertexq.simulator.vertex.predict import OnlineCall, OnlineDesk
from vertexq.simulator.vertex.replies import answer, job_json, operation_json, page_size_from
from vertexq.simulator.vertex.requests import invalid, job_from, output_prefix_of, project_number, uris_of
from vertexq.simulator.vertex.run import Desk, Run
from vertexq.simulator.vertex.table_calls import TableCalls
from vertexq.simulator.vertex.turns import Overlap, Turns
from vertexq.states import JobState

_LOCATION = "/{version:v1|v1beta1}/projects/{project:[^/]+}/locations/{location:[^/]+}"
_JOBS = f"{_LOCATION}/batchPredictionJobs"
_JOB = f"{_JOBS}/{{job:[^/:]+}}"
_PUBLISHED = "/{version:v1|v1beta1}/publishers/{publisher:[^/]+}/models/{model:[^/:]+}"
_OWN_MODEL = f"{_LOCATION}/models/{{model:[^/:]+}}"
# google-cloud-aiplatform asks for operations below /ui
_OPERATION = f"{_LOCATION.replace('v1beta1', 'v1beta1|ui')}/operations/{{operation:[^/:]+}}"


class VertexSurface:
    """Batch prediction jobs that read and write Cloud Storage and BigQuery, both at ``storage_url``.

    With a ``home`` the accepted creates and the jobs outlive a restart; unfinished jobs start again then.
    """

    def __init__(
        self,
        *,
        faults: Faults,
        storage_url: str,
        seed: int = 0,
        timing: Timing | None = None,
        behaviours: Behaviours | None = None,
        home: Path | None = None,
        required_token: str = "",
        record_exchanges: bool = False,
        access: Access | None = None,
        models: Models | None = None,
    ) -> None:
        self.behaviours = behaviours or Behaviours(Behaviour())
        self._access = access or Access()
        self._models = models or Models()
        self._faults = faults
        self._home = home
        self._timing = timing or Timing()
        self._seed = seed
        self._calls = BucketCalls(storage_url, token=required_token)
        self._tables = TableCalls(storage_url, token=required_token)
        self._exchanges = Exchanges(wanted=record_exchanges)
        self._late: set[asyncio.Task[None]] = set()
        self._gate = Gate(
            faults=faults, exchanges=self._exchanges, required_token=required_token, late=self._late
        )
        self._journal = Journal(None)
        self._book = JobBook(None, seed=seed)
        self._operations = Operations()
        self._turns = Turns(self._models)
        self._endpoints = Endpoints(
            models=self._models, timing=self._timing, seed=seed, host=lambda: urlsplit(storage_url).netloc
        )
        self._online = OnlineDesk(
            models=self._models, behaviours=self.behaviours, seed=seed, endpoints=lambda: self.endpoints
        )
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def accepted(self) -> list[AcceptedCreate]:
        """The oracle: every create that was accepted, oldest first."""
        return self._journal.accepted

    @property
    def endpoints(self) -> EndpointBook:
        """The endpoints and every operation on them that was accepted, oldest first."""
        return self._endpoints.book

    @property
    def online_calls(self) -> list[OnlineCall]:
        """The oracle of online calls: every one that was answered, oldest first."""
        return list(self._online.accepted)

    @property
    def overlaps(self) -> list[Overlap]:
        """The oracle of jobs that were to run while too many others of their kind ran, oldest first."""
        return list(self._turns.overlaps)

    @property
    def exchanges(self) -> list[Exchange]:
        """The requests and answers so far, when they are recorded."""
        return self._exchanges.kept()

    async def start(self) -> None:
        """Open the books; jobs that an earlier run left unfinished begin again."""
        if self._home is not None:
            self._home.mkdir(parents=True, exist_ok=True)
            self._journal = Journal(self._home / "creates.jsonl")
            self._book = JobBook(self._home / "jobs.jsonl", seed=self._seed)
            self._endpoints.open(self._home / "endpoints.jsonl")
        await self._calls.open()
        await self._tables.open()
        for job in self._book.unfinished():
            self._book.put(replace(job, state=JobState.PENDING, tally=None, state_word="", error=None))
            self._begin(job.name)

    async def stop(self) -> None:
        """End every job's task and every call. Safe to repeat."""
        tasks = [*self._tasks, *self._late]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._calls.close()
        await self._tables.close()

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes of both versions, and the simulator's own."""
        methods: list[tuple[str, str, str, Call]] = [
            ("POST", _JOBS, CREATE, self._create),
            ("GET", _JOBS, "batchPredictionJobs.list", self._list),
            ("GET", _JOB, "batchPredictionJobs.get", self._get),
            ("DELETE", _JOB, "batchPredictionJobs.delete", self._delete),
            ("POST", _JOB + ":cancel", "batchPredictionJobs.cancel", self._cancel),
            ("GET", _OPERATION, "operations.get", self._operation),
            ("POST", _OPERATION + ":wait", "operations.wait", self._operation),
            ("GET", _OWN_MODEL, "models.get", self._own_model),
            ("GET", _PUBLISHED, "aiplatform.publishers.models.get", self._published_model),
            *self._endpoints.methods(),
            *self._online.methods(_LOCATION),
        ]
        for verb, path, name, call in methods:
            method = name if name.startswith("aiplatform.") else f"aiplatform.projects.locations.{name}"
            yield web.route(verb, path, self._gate.through(call, method=method))
        yield from vertex_admin_routes(self.behaviours, self._models, lambda: self.accepted, self.again)
        yield online_route(lambda: self.online_calls)
        yield overlaps_route(lambda: self.overlaps)

    async def _create(self, request: web.Request) -> web.Response:
        match = request.match_info
        job = self._new_job(await request.read(), match["project"], match["location"])
        return answer(job_json(job), request)

    def _new_job(self, body: bytes, project: str, location: str) -> SimulatedJob:
        given = job_from(body, location=location, models=self._models)
        now = datetime.now(UTC)
        number = self._book.next_number()
        job = SimulatedJob(
            number=number,
            id=self._book.job_id(number),
            project=project_number(project),
            location=location,
            display_name=str(given["displayName"]),
            model=str(given["model"]),
            input_uris=uris_of(given),
            output_prefix=output_prefix_of(given),
            labels=cast("dict[str, str]", given.get("labels", {})),
            body=given,
            created=now,
            updated=now,
        )
        self._access.met(job.project)
        self._accept(job, body)
        self._begin(job.name)
        return job

    def again(self, display_name: str) -> str:
        """Accept the newest create of this display name once more, as if it had been sent twice.

        Return the name of the new job; raise ``NotFound``. Call it on the simulator's loop.
        """
        names = [create.name for create in self.accepted if create.display_name == display_name]
        job = self._book.get(names[-1]) if names else None
        if job is None:
            raise NotFound(f"no job of the display name {display_name!r} was accepted", status=404)
        return self._new_job(orjson.dumps(job.body), job.project, job.location).name

    async def _published_model(self, request: web.Request) -> web.Response:
        match = request.match_info
        self._models.check_published(match["publisher"], match["model"])
        name = f"publishers/{match['publisher']}/models/{match['model']}"
        return answer({"name": name, "versionId": "default", "launchStage": "GA"}, request)

    async def _own_model(self, request: web.Request) -> web.Response:
        name = f"{_parent_of(request)}/models/{request.match_info['model']}"
        own = self._models.own(name)
        about: dict[str, object] = {"name": name.partition("@")[0], "displayName": own.display_name}
        about |= {"versionId": "1", "modelSourceInfo": {"sourceType": own.source_type}}
        if own.base:
            about["labels"] = {"google-vertex-llm-tuning-base-model-id": own.base}
        if deployed := self._endpoints.serving(name):
            about["deployedModels"] = deployed
        return answer(about, request)

    def _accept(self, job: SimulatedJob, body: bytes) -> None:
        """Write the create down; from here on the job would be paid for."""
        create = AcceptedCreate(
            name=job.name,
            display_name=job.display_name,
            labels=dict(job.labels),
            model=job.model,
            time=job.created,
            body_digest=hashlib.sha256(body).hexdigest(),
        )
        self._journal.append(create)
        self._book.put(job)

    def _begin(self, name: str) -> None:
        desk = Desk(
            book=self._book,
            buckets=self._calls,
            tables=self._tables,
            behaviours=self.behaviours,
            timing=self._timing,
            seed=self._seed,
            may_write=self._access.agent_may_write,
            turns=self._turns,
        )
        job = self._book.get(name)
        run = self._runs[name] = Run(desk, name, self._models.kind_of(job.model if job else ""))
        task = asyncio.create_task(run.run())
        self._keep(task)
        task.add_done_callback(lambda _: self._runs.pop(name, None))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _get(self, request: web.Request) -> web.Response:
        return answer(job_json(self._asked_for(request, lagging=True)), request)

    async def _list(self, request: web.Request) -> web.Response:
        """Answer with a page, newest first; a page's token is the place of its last job."""
        query = request.query
        wanted = job_filter(query.get("filter", ""))
        size = page_size_from(query.get("pageSize", ""))
        found = self._found(request, wanted, before=_place_in(query.get("pageToken", "")), most=size + 1)
        page: dict[str, object] = {}
        if found:
            mask = query.get("readMask", "")
            page["batchPredictionJobs"] = [masked(job_json(job), mask) for job in found[:size]]
        if len(found) > size:
            page["nextPageToken"] = base64.urlsafe_b64encode(f"{found[size - 1].number}".encode()).decode()
        return answer(page, request)

    def _found(
        self, request: web.Request, wanted: Predicate, *, before: int | None, most: int
    ) -> list[SimulatedJob]:
        self._operations.settle(self._book.drop)
        found: list[SimulatedJob] = []
        for job in self._book.newest_first(_parent_of(request), before=before):
            lag_s = self._behaviour_of(job).list_lag_s
            if wanted(_facts(job)) and not _younger(job, lag_s):
                found.append(job)
            if len(found) >= most:
                break
        return found

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self._asked_for(request)
        self._book.put(job.cancel_asked(datetime.now(UTC)))
        if job.name in self._runs:
            self._runs[job.name].nudge()
        return answer({}, request)

    async def _delete(self, request: web.Request) -> web.Response:
        job = self._asked_for(request)
        if not job.finished:
            message = f"The job {job.name} is not in a terminal state: {job.state}. Cancel it first."
            raise Refused(message, status=400, code="FAILED_PRECONDITION")
        begun = self._operations.begin(_parent_of(request), job.name, takes_s=self._timing.operation_s)
        return answer(operation_json(begun, done=False), request)

    async def _operation(self, request: web.Request) -> web.Response:
        self._operations.settle(self._book.drop)
        name = f"{_parent_of(request)}/operations/{request.match_info['operation']}"
        found = self._operations.get(name)
        if found is None and (known := self._endpoints.operation(request.match_info["operation"])):
            return answer(known, request)
        if found is None:
            raise NotFound(f"The Operation {name} does not exist.", status=404, code="NOT_FOUND")
        begun, done = found
        return answer(operation_json(begun, done=done), request)

    def _asked_for(self, request: web.Request, *, lagging: bool = False) -> SimulatedJob:
        """Return the job in the request's path, or raise ``NotFound``; a young one may lag behind."""
        self._operations.settle(self._book.drop)
        name = f"{_parent_of(request)}/batchPredictionJobs/{request.match_info['job']}"
        job = self._book.get(name)
        if job is None or (lagging and _younger(job, self._behaviour_of(job).get_lag_s)):
            raise NotFound(f"The BatchPredictionJob {name} does not exist.", status=404, code="NOT_FOUND")
        return job

    def _behaviour_of(self, job: SimulatedJob) -> Behaviour:
        return self.behaviours.of(job.display_name, job.labels)


def _parent_of(request: web.Request) -> str:
    match = request.match_info
    return f"projects/{project_number(match['project'])}/locations/{match['location']}"


def _younger(job: SimulatedJob, age_s: float) -> bool:
    return datetime.now(UTC) - job.created < timedelta(seconds=age_s)


def _facts(job: SimulatedJob) -> Facts:
    return Facts(
        display_name=job.display_name,
        model_display_name="",  # a publisher's model has none
        state=job.state_word or job.state.value,
        create_time=job.created,
        labels=job.labels,
    )


def _place_in(token: str) -> int | None:
    """Return the place of the last job of the page before; None for the first page."""
    if not token:
        return None
    try:
        return int(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError) as error:
        raise invalid("The page token is invalid.", field="page_token") from error
