"""The client of Vertex AI pays once, finds what is there, and says what it does not know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contract.loopback import QUICK, Answering, Heard, Loopback, answer, in_turn, json_answer, listening
from vertexq.errors import Ambiguous, ApiError, BadInput, BadSettings, NotFound, Refused, Unavailable
from vertexq.google.auth import Tokens
from vertexq.google.messages import job_body
from vertexq.google.rest import Transport
from vertexq.google.vertex import Vertex
from vertexq.states import JobState

NAME = "projects/123/locations/us-central1/batchPredictionJobs/4567890123456789012"
JOB = {"name": NAME, "state": "JOB_STATE_PENDING", "displayName": "b1", "labels": {"vertexq": "b1"}}
BODY = job_body(
    display_name="b1",
    labels={"vertexq": "b1"},
    model="gemini-2.5-flash",
    source="gs://prompts/in.jsonl",
    destination="gs://prompts/out/1",
)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Give a transport that does not wait long."""
    async with Transport(Tokens(), pace=QUICK) as transport:
        yield transport


async def created(transport: Transport, answering: Answering) -> tuple[Loopback, ApiError | None]:
    """Create a job once; return what the server heard and the error, if any."""
    async with listening(answering) as server:
        try:
            await Vertex(transport, endpoint=server.url).create("p", "us-central1", BODY, deadline_s=0.5)
        except ApiError as error:
            return server, error
    return server, None


async def test_a_job_is_created(transport: Transport) -> None:
    """One POST to the location's jobs carries the body; the answer is the job."""
    async with listening(in_turn(json_answer(JOB))) as server:
        job = await Vertex(transport, endpoint=server.url).create("p", "us-central1", BODY)

    assert (job.name, job.state, job.labels) == (NAME, JobState.PENDING, {"vertexq": "b1"})
    (heard,) = server.heard
    assert heard.method == "POST"
    assert urlsplit(heard.target).path == "/v1/projects/p/locations/us-central1/batchPredictionJobs"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_definite(transport: Transport, status: int) -> None:
    """Google looked at the request and created nothing."""
    body = {"error": {"code": status, "message": "The PublisherModel x does not exist.", "status": "NO"}}
    server, error = await created(transport, in_turn(json_answer(body, status)))

    assert isinstance(error, Refused)
    assert "The PublisherModel x does not exist." in str(error)
    assert len(server.heard) == 1


@pytest.mark.parametrize("status", [302, 308, 408, 409, 412, 429, 499, 500, 502, 503, 504])
async def test_every_other_status_is_ambiguous(transport: Transport, status: int) -> None:
    """The job may exist: one POST was made, and its status and wait are kept."""
    server, error = await created(transport, in_turn(answer(status, Retry_After="7", Location="/elsewhere")))

    assert isinstance(error, Ambiguous)
    assert (error.status, error.retry_after_s) == (status, 7.0)
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    "said",
    [
        None,
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        b"\x16\x03\x01 not HTTP\r\n\r\n",
        answer(200),
        answer(200, b"<html>"),
        json_answer({}),
        json_answer([JOB]),
        json_answer({"name": "projects/p/locations/l/batchPredictionJobs/"}),
        json_answer({"name": 7}),
        answer(204),
    ],
)
async def test_what_cannot_be_read_is_ambiguous(transport: Transport, said: bytes | None) -> None:
    """No answer, half of one, or a success without a job's name: one POST, and somebody must look."""
    server, error = await created(transport, in_turn(said))

    assert isinstance(error, Ambiguous)
    assert error.code != "NOT_SENT"
    assert len(server.heard) == 1


async def test_a_create_never_uses_a_kept_connection(transport: Transport) -> None:
    """A connection the server may just have closed would make a harmless create ambiguous."""
    async with listening(in_turn(json_answer(JOB))) as server:
        vertex = Vertex(transport, endpoint=server.url)
        for _ in range(2):
            await vertex.get(NAME)
            await vertex.create("p", "us-central1", BODY)

    assert [(heard.method, heard.connection) for heard in server.heard] == [
        ("GET", 1),
        ("POST", 2),
        ("GET", 1),
        ("POST", 3),
    ]


async def test_a_create_without_a_connection_was_not_sent(transport: Transport) -> None:
    """The error says that not a byte went out, so that nobody has to look for a job."""
    async with listening(in_turn(None)) as server:
        pass

    with pytest.raises(Ambiguous, match="nothing was sent") as caught:
        await Vertex(transport, endpoint=server.url).create("p", "us-central1", BODY)

    assert caught.value.code == "NOT_SENT"


async def test_a_job_is_read(transport: Transport) -> None:
    """``get`` asks for the fields it needs and reads them."""
    full = JOB | {
        "state": "JOB_STATE_SUCCEEDED",
        "outputInfo": {"gcsOutputDirectory": "gs://prompts/out/1/prediction-model-2026"},
        "completionStats": {"successfulCount": "5", "incompleteCount": "-1"},
        "createTime": "2026-11-21T10:00:00.123456Z",
        "partialFailures": [{"code": 3}],
        "modelMonitoringStatus": {},
    }
    async with listening(in_turn(json_answer(full))) as server:
        job = await Vertex(transport, endpoint=server.url).get(NAME)

    assert job.state is JobState.SUCCEEDED
    assert (job.stats.successful, job.stats.failed, job.stats.incomplete) == (5, None, None)
    assert job.create_time == datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
    (heard,) = server.heard
    assert urlsplit(heard.target).path == f"/v1/{NAME}"
    assert "outputInfo" in parse_qs(urlsplit(heard.target).query)["fields"][0]


async def test_a_list_goes_to_the_last_page(transport: Transport) -> None:
    """Every page is asked for with the same filter; an empty page is nothing special."""
    pages = [
        {"batchPredictionJobs": [JOB], "nextPageToken": "two"},
        {"nextPageToken": "three"},
        {"batchPredictionJobs": [JOB | {"name": NAME + "1"}], "nextPageToken": ""},
    ]
    wanted = 'labels.vertexq="b1" AND create_time>"2026-11-21T00:00:00Z"'
    async with listening(in_turn(*map(json_answer, pages))) as server:
        listing = Vertex(transport, endpoint=server.url).list("p", "us-central1", filter=wanted)
        names = [job.name async for job in listing]

    asked = [parse_qs(urlsplit(heard.target).query) for heard in server.heard]
    assert names == [NAME, NAME + "1"]
    assert [query.get("pageToken") for query in asked] == [None, ["two"], ["three"]]
    assert {query["filter"][0] for query in asked} == {wanted}
    assert all("readMask" in query and "fields" in query for query in asked)


async def test_pages_are_asked_for_one_by_one_and_with_few_fields(transport: Transport) -> None:
    """Who needs no more pages closes the listing; what a job was made from is not sent over."""
    pages = [{"batchPredictionJobs": [JOB, JOB], "nextPageToken": "two"}, {"batchPredictionJobs": [JOB]}]
    async with listening(in_turn(*map(json_answer, pages))) as server:
        vertex = Vertex(transport, endpoint=server.url)
        async with aclosing(vertex.pages("p", "us-central1", filter="labels.vertexq:*")) as listing:
            first = await anext(listing)

    (heard,) = server.heard
    query = parse_qs(urlsplit(heard.target).query)
    assert [job.name for job in first] == [NAME, NAME]
    assert query["pageSize"] == ["100"]
    assert query["readMask"] == ["name,labels,state,error,outputInfo,completionStats,createTime,startTime"]
    assert query["fields"] == [f"nextPageToken,batchPredictionJobs({query['readMask'][0]})"]


async def test_a_list_of_nothing_is_empty(transport: Transport) -> None:
    """Google leaves an empty list out of its answer."""
    async with listening(in_turn(json_answer({}))) as server:
        assert [job async for job in Vertex(transport, endpoint=server.url).list("p", "global")] == []


async def test_a_job_that_cannot_be_read_is_no_gap(transport: Transport) -> None:
    """Who looks for a job must not overlook it."""
    page = {"batchPredictionJobs": [JOB, {"name": "?"}]}
    async with listening(in_turn(json_answer(page))) as server:
        with pytest.raises(Unavailable, match="no readable name"):
            _ = [job async for job in Vertex(transport, endpoint=server.url).list("p", "us-central1")]


async def test_a_cancel_is_repeated_until_it_is_heard(transport: Transport) -> None:
    """Asking twice to stop does no harm, so a lost answer is not the end."""
    async with listening(in_turn(None, answer(503), json_answer({}))) as server:
        await Vertex(transport, endpoint=server.url).cancel(NAME)

    assert [urlsplit(heard.target).path for heard in server.heard] == [f"/v1/{NAME}:cancel"] * 3


async def test_a_finished_job_cannot_be_cancelled(transport: Transport) -> None:
    """The refusal carries Google's word for it."""
    body = {"error": {"code": 400, "message": "Job is finished.", "status": "FAILED_PRECONDITION"}}
    async with listening(in_turn(json_answer(body, 400))) as server:
        with pytest.raises(Refused) as caught:
            await Vertex(transport, endpoint=server.url).cancel(NAME)

    assert caught.value.code == "FAILED_PRECONDITION"


async def test_a_delete_is_an_operation(transport: Transport) -> None:
    """Deleting returns the name of Google's long-running operation."""
    operation = "projects/123/locations/us-central1/operations/9"
    async with listening(in_turn(json_answer({"name": operation}))) as server:
        assert await Vertex(transport, endpoint=server.url).delete(NAME) == operation

    assert server.heard[0].method == "DELETE"


async def test_a_job_that_is_gone_is_not_found(transport: Transport) -> None:
    """A 404 is NotFound; an HTML page from a wrong host is told in one line."""
    page = b"<html><head><style>p{}</style></head><body><h1>404.</h1>\n<p>Not here.</body></html>"
    async with listening(in_turn(answer(404, page))) as server:
        with pytest.raises(NotFound, match=r"404: 404\. Not here\. \(check the name"):
            await Vertex(transport, endpoint=server.url).get(NAME)


@pytest.mark.parametrize(
    "name", ["", "../../x", NAME + "/..", NAME + "?x=1", "projects/p/locations/e.vil/x/1"]
)
async def test_a_name_of_another_form_is_not_sent(transport: Transport, name: str) -> None:
    """What is not a job's name never becomes part of a URL."""
    async with listening(_nothing) as server:
        with pytest.raises(BadInput):
            await Vertex(transport, endpoint=server.url).get(name)

    assert server.heard == []


def _nothing(_: Heard) -> None:
    return None


@pytest.mark.parametrize(
    ("project", "location"), [("p/../q", "us-central1"), ("", "global"), ("p", "evil.com/")]
)
async def test_a_project_or_location_of_another_form_is_not_sent(
    transport: Transport, project: str, location: str
) -> None:
    """Neither can lead the call, and the token with it, to another host."""
    with pytest.raises((BadInput, BadSettings)):
        await Vertex(transport).create(project, location, BODY)
