"""Google's names, bodies and answers are read and written without a network."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vertexq.errors import BadInput, BadSettings
from vertexq.google.hosts import base_url, clean_endpoint, is_google, origin, storage_url, without_query
from vertexq.google.messages import (
    Unreadable,
    instant,
    job_body,
    job_from,
    location_of,
    model_name,
    object_from,
    object_path,
    parent,
    whole,
)
from vertexq.google.pace import Pace
from vertexq.model import GcsUri, Job, JobError, JobStats
from vertexq.states import JobState

NAME = "projects/123/locations/us-central1/batchPredictionJobs/4567890123456789012"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_every_location_has_its_host(location: str, url: str) -> None:
    """Regions, the global location and the two multi-regions each have a host of Google's."""
    assert base_url(location) == url
    assert is_google(url)


@pytest.mark.parametrize("location", ["", "evil.com/", "us-central1@evil.com", "US", "-", "a" * 64])
def test_a_location_of_another_form_is_a_bad_setting(location: str) -> None:
    """What becomes part of a host name is checked first."""
    with pytest.raises(BadSettings, match="is not a Google Cloud location"):
        base_url(location)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("localhost:9000", "http://localhost:9000"),
        ("https://vertex.example/base", "https://vertex.example/base"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_an_endpoint_is_a_base_url(endpoint: str, url: str) -> None:
    """A scheme may be missing, as STORAGE_EMULATOR_HOST is written for some clients."""
    assert (clean_endpoint(endpoint), base_url("global", endpoint), storage_url(endpoint)) == (url, url, url)


@pytest.mark.parametrize(
    "endpoint", ["ftp://host", "http://", "http://user:word@host", "http://h:port", "h?x=y"]
)
def test_an_endpoint_of_another_form_is_a_bad_setting(endpoint: str) -> None:
    """The error names the endpoint without its password or query."""
    with pytest.raises(BadSettings, match="is not a base URL") as caught:
        clean_endpoint(endpoint)

    assert "word" not in str(caught.value)
    assert "x=y" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.googleapis.com",
        "https://googleapis.com.evil.example",
        "https://storage.googleapis.com@evil.example/",
        "https://storage.googleapis.com:8443/",
        "https://evilgoogleapis.com",
    ],
)
def test_a_host_that_only_looks_like_google_is_none(url: str) -> None:
    """The token is for TLS to googleapis.com and what is below it, at the usual port."""
    assert not is_google(url)


def test_a_url_is_cut_to_what_may_be_told() -> None:
    """User, password, query and fragment never stand in a message."""
    assert without_query("https://user:word@host:1/path?upload_id=secret#part") == "https://host:1/path"
    assert origin("HTTPS://Host:1/path") == "https://host:1"


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash"),
        ("anthropic/claude-x", "publishers/anthropic/models/claude-x"),
        ("publishers/google/models/m", "publishers/google/models/m"),
        ("projects/p/locations/l/models/7@2", "projects/p/locations/l/models/7@2"),
    ],
)
def test_a_model_has_a_resource_name(short: str, full: str) -> None:
    """Short names are for publisher models; resource names stay as they are."""
    assert model_name(short) == full


def test_a_body_is_what_google_documents() -> None:
    """JSON lines in, JSON lines out, both in Cloud Storage; input URIs as a list."""
    body = job_body(
        display_name="b1",
        labels={"vertexq": "b1"},
        model="gemini-x",
        source="gs://b/in.jsonl",
        destination="gs://b/out/1",
    )

    assert body == {
        "displayName": "b1",
        "labels": {"vertexq": "b1"},
        "model": "publishers/google/models/gemini-x",
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://b/in.jsonl"]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": "gs://b/out/1"},
        },
    }


def test_a_job_is_read_whole() -> None:
    """Counters come as text, times get a zone, unknown fields are ignored."""
    job = job_from(
        {
            "name": NAME,
            "displayName": "b1",
            "labels": {"vertexq": "b1"},
            "model": "publishers/google/models/m",
            "state": "JOB_STATE_FAILED",
            "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://b/1", "gs://b/2"]}},
            "outputConfig": {"gcsDestination": {"outputUriPrefix": "gs://b/out"}},
            "outputInfo": {"gcsOutputDirectory": "gs://b/out/prediction"},
            "error": {"code": 8, "message": "quota"},
            "completionStats": {"successfulCount": "1", "failedCount": "2", "incompleteCount": "-1"},
            "createTime": "2026-11-21T10:00:00.123456Z",
            "startTime": "2026-11-21T10:01:00Z",
            "endTime": "2026-11-21T12:00:00+01:00",
            "modelMonitoringStatus": {},
        }
    )

    assert job == Job(
        name=NAME,
        state=JobState.FAILED,
        state_text="JOB_STATE_FAILED",
        display_name="b1",
        labels={"vertexq": "b1"},
        model="publishers/google/models/m",
        input_uris=("gs://b/1", "gs://b/2"),
        output_prefix="gs://b/out",
        output_directory="gs://b/out/prediction",
        stats=JobStats(successful=1, failed=2),
        error=JobError(code=8, message="quota"),
        create_time=datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC),
        start_time=datetime(2026, 11, 21, 10, 1, tzinfo=UTC),
        end_time=datetime(2026, 11, 21, 11, 0, tzinfo=UTC),
    )


def test_a_job_with_nothing_but_its_name_is_read() -> None:
    """An absent state is UNSPECIFIED; everything else is empty."""
    assert job_from({"name": NAME}) == Job(name=NAME, state=JobState.UNSPECIFIED, state_text="")


def test_a_state_we_do_not_know_is_kept_as_text() -> None:
    """A word from a later release of Google's is no error."""
    job = job_from({"name": NAME, "state": "JOB_STATE_DREAMING"})

    assert (job.state, job.state_text) == (None, "JOB_STATE_DREAMING")


def test_fields_of_the_wrong_type_are_left_out() -> None:
    """A job is found by its name even when the rest of it is nonsense."""
    nonsense: dict[str, object] = {
        "labels": 1,
        "inputConfig": [],
        "outputInfo": "x",
        "completionStats": {"failedCount": True},
    }
    strange: dict[str, object] = {"error": "x", "createTime": 7, "model": None, "displayName": {}}

    assert job_from({"name": NAME, **nonsense, **strange}) == job_from({"name": NAME})


def test_a_bare_uri_is_read_as_a_list_of_one() -> None:
    """Some of Google's samples write it so, and Google accepts it."""
    job = job_from({"name": NAME, "inputConfig": {"gcsSource": {"uris": "gs://b/1"}}})

    assert job.input_uris == ("gs://b/1",)


@pytest.mark.parametrize("value", [None, [], {}, {"name": "x"}, {"name": NAME + "/x"}, {"name": 7}, "text"])
def test_a_job_without_a_name_is_unreadable(value: object) -> None:
    """What cannot be asked for again is no job."""
    with pytest.raises(Unreadable):
        job_from(value)


def test_the_location_is_part_of_the_name() -> None:
    """A job's name says which host to ask."""
    assert location_of(NAME) == "us-central1"
    with pytest.raises(BadInput):
        location_of("projects/p/locations/l/endpoints/1")


@pytest.mark.parametrize("project", ["my-project", "123", "example.com:my-project"])
def test_a_project_is_an_id_or_a_number(project: str) -> None:
    """Ids of a domain hold a colon."""
    assert parent(project, "global") == f"projects/{project}/locations/global"


@pytest.mark.parametrize("project", ["", "a/b", "a b", "..", "A"])
def test_a_project_of_another_form_is_bad_input(project: str) -> None:
    """The error names the variable to set."""
    with pytest.raises(BadInput, match="GOOGLE_CLOUD_PROJECT"):
        parent(project, "global")


@pytest.mark.parametrize(
    "value", [{}, {"bucket": "b", "name": "n", "size": "1"}, {"bucket": "b", "generation": "1", "size": "1"}]
)
def test_an_object_without_what_pins_it_is_unreadable(value: object) -> None:
    """Bucket, name, generation and size must be there."""
    with pytest.raises(Unreadable):
        object_from(value)


def test_a_path_encodes_every_reserved_character() -> None:
    """Slashes, dots and percent signs in a name never change the path."""
    assert object_path(GcsUri(bucket="b", name="a/../ü %2F?")) == "/b/b/o/a%2F..%2F%C3%BC%20%252F%3F"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("7", 7),
        (8, 8),
        ("-1", -1),
        (True, None),
        ("x", None),
        (None, None),
        (1.5, None),
        ("9" * 19, int("9" * 19)),
    ],
)
def test_an_int64_is_text_or_a_number(value: object, read: int | None) -> None:
    """Anything else is None."""
    assert whole(value) == read


@pytest.mark.parametrize("value", [None, "", "soon", 7, "2026-11-21T10:00:00"])
def test_a_time_without_a_zone_is_none(value: object) -> None:
    """Google always sends one."""
    assert instant(value) is None


def test_nanoseconds_are_cut() -> None:
    """Google may send nine digits; ours have six."""
    assert instant("2026-11-21T10:00:00.123456789Z") == datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)


def test_waits_grow_up_to_the_cap() -> None:
    """With the highest throw of the dice: 1, 2, 4, 8, 16 s, then no more tries."""
    waits = [Pace().wait_s(tries, dice=1.0) for tries in range(1, 7)]

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, None]
    assert Pace(cap_s=3.0).wait_s(4, dice=0.5) == 1.5
    assert Pace().wait_s(1, dice=0.0, retry_after_s=60.0) == 60.0
