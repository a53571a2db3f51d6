"""Resource names, the body of a new job, and Google's answers read into our values. No I/O.

Fields: the aiplatform v1 (revision 20261106) and storage v1 (revision 20261009) discovery documents. What we
do not know in an answer is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote

from vertexq.errors import BadInput
from vertexq.model import GcsUri, Job, JobError, JobStats, ObjectInfo
from vertexq.sources.tables import is_table
from vertexq.states import job_state

JOB_FIELDS = (
    "name,displayName,labels,model,state,error,inputConfig,outputConfig,outputInfo,completionStats,"
    "createTime,startTime,endTime"
)
POLL_FIELDS = "name,labels,state,error,outputInfo,completionStats,createTime,startTime"
"""What a poll reads of each job: how it stands, not what it was made from."""
OBJECT_FIELDS = "bucket,name,generation,size,crc32c,metadata"
BUCKET_FIELDS = "location,locationType,customPlacementConfig,softDeletePolicy,projectNumber"

_JOB_NAME = re.compile(r"projects/([^/\s?#]+)/locations/([a-z][a-z0-9-]*)/batchPredictionJobs/(\d+)")
_MODEL_NAME = re.compile(
    r"(?:projects/[\w.:-]+/locations/[\w-]+/)?(?:(publishers/[\w.-]+/models/[\w.@-]+)|models/[\w.@-]+)"
)
_VERSION = re.compile(r"-\d{3}$")  # gemini-2.0-flash-001
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketInfo:
    """Where a bucket is and whose it is; what Google does not say is empty, or None.

    ``location`` is as Google writes it (``US``, ``EUROPE-WEST4``, ``NAM4``); ``regions`` are the two of a
    dual-region that its owner put together. ``soft_delete_s`` is how long deleted objects are kept.
    """

    location: str
    location_type: str = ""
    regions: tuple[str, ...] = ()
    project_number: str = ""
    soft_delete_s: int | None = None


class Unreadable(ValueError):
    """An answer that is not what the method promises; the transport's errors say it to callers."""


def parent(project: str, location: str) -> str:
    """Return ``projects/P/locations/L``; raise ``BadInput`` for a project that cannot be one."""
    if not _PROJECT.fullmatch(project):
        raise BadInput(f"{project!r} is not a Google Cloud project; set GOOGLE_CLOUD_PROJECT to its id")
    return f"projects/{project}/locations/{location}"


def location_of(job_name: str) -> str:
    """Return the location in a job's full name; raise ``BadInput`` for anything else."""
    found = _JOB_NAME.fullmatch(job_name)
    if found is None:
        raise BadInput(f"{job_name!r} is not of the form projects/P/locations/L/batchPredictionJobs/N")
    return found[2]


def model_name(model: str) -> str:
    """Return the resource name of ``model``; ``gemini-x`` and ``publisher/x`` are short names."""
    parts = model.split("/")
    if len(parts) == 1:
        return f"publishers/google/models/{model}"
    if len(parts) == 2:  # noqa: PLR2004
        publisher = "google" if parts[0] == "models" else parts[0]
        return f"publishers/{publisher}/models/{parts[1]}"
    return model


def lookup_names(model: str) -> list[str]:
    """Return the names under which ``model`` can be asked for, the exact one first.

    A publisher's model has no project there; ``publishers/P/models/M-001`` comes back as itself and as
    ``publishers/P/models/M``. Raise ``BadInput`` for what can be no name.
    """
    found = _MODEL_NAME.fullmatch(model_name(model))
    if found is None:
        raise BadInput(f"{model[:100]!r} cannot be the name of a model; write it as Google does")
    if not found[1]:
        return [found[0]]
    name, _, _ = found[1].partition("@")
    return list(dict.fromkeys((name, _VERSION.sub("", name))))


def job_body(
    *,
    display_name: str,
    labels: Mapping[str, str],
    model: str,
    source: str,
    destination: str,
    parameters: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the body that creates a job.

    ``source`` and ``destination`` are each in Cloud Storage (``gs://bucket/object``, ``gs://bucket/prefix``:
    JSON lines) or in BigQuery (``bq://project.dataset.table``, or less of it for a destination).
    """
    return {
        "displayName": display_name,
        "labels": dict(labels),
        "model": model_name(model),
        "inputConfig": _input_config(source),
        "outputConfig": _output_config(destination),
        **({"modelParameters": dict(parameters)} if parameters else {}),
    }


def _input_config(source: str) -> dict[str, object]:
    if is_table(source):
        return {"instancesFormat": "bigquery", "bigquerySource": {"inputUri": source}}
    return {"instancesFormat": "jsonl", "gcsSource": {"uris": [source]}}


def _output_config(destination: str) -> dict[str, object]:
    if is_table(destination):
        return {"predictionsFormat": "bigquery", "bigqueryDestination": {"outputUri": destination}}
    return {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": destination}}


def job_from(value: object) -> Job:
    """Read a ``batchPredictionJob``; raise ``Unreadable`` when it has no name we could ask for."""
    said = mapping(value)
    name = text(said, "name")
    if not _JOB_NAME.fullmatch(name):
        raise Unreadable("the job has no readable name")
    return Job(
        name=name,
        state=job_state(said.get("state")),
        state_text=text(said, "state"),
        display_name=text(said, "displayName"),
        labels=_labels(said.get("labels")),
        model=text(said, "model"),
        input_uris=_uris(inner(said, "inputConfig", "gcsSource").get("uris"))
        or _uris(inner(said, "inputConfig", "bigquerySource").get("inputUri")),
        output_prefix=text(inner(said, "outputConfig", "gcsDestination"), "outputUriPrefix")
        or text(inner(said, "outputConfig", "bigqueryDestination"), "outputUri"),
        output_directory=_written(inner(said, "outputInfo")),
        stats=_stats(inner(said, "completionStats")),
        error=_job_error(said.get("error")),
        create_time=instant(said.get("createTime")),
        start_time=instant(said.get("startTime")),
        end_time=instant(said.get("endTime")),
    )


def object_from(value: object) -> ObjectInfo:
    """Read an object's metadata; raise ``Unreadable`` when name, generation or size are missing."""
    said = mapping(value)
    generation, size_bytes = whole(said.get("generation")), whole(said.get("size"))
    uri = GcsUri(bucket=text(said, "bucket"), name=text(said, "name"))
    if not uri.bucket or not uri.name or generation is None or size_bytes is None:
        raise Unreadable("the object has no readable name, generation or size")
    return ObjectInfo(
        uri=uri,
        generation=generation,
        size_bytes=size_bytes,
        crc32c=text(said, "crc32c"),
        metadata=_labels(said.get("metadata")),
    )


def bucket_from(value: object) -> BucketInfo:
    """Read a bucket's metadata."""
    said = mapping(value)
    placed = items(inner(said, "customPlacementConfig").get("dataLocations"))
    return BucketInfo(
        location=text(said, "location"),
        location_type=text(said, "locationType"),
        regions=tuple(str(region) for region in placed),
        project_number=str(whole(said.get("projectNumber")) or ""),
        soft_delete_s=whole(inner(said, "softDeletePolicy").get("retentionDurationSeconds")),
    )


def members_from(value: object) -> frozenset[str]:
    """Read whom a policy names, in any role (``serviceAccount:…``, ``allUsers``)."""
    bindings = map(mapping, items(mapping(value).get("bindings")))
    return frozenset(str(member) for binding in bindings for member in items(binding.get("members")))


def object_path(uri: GcsUri) -> str:
    """Return ``/b/BUCKET/o/NAME`` with every reserved character of both encoded."""
    return f"/b/{quote(uri.bucket, safe='')}/o/{quote(uri.name, safe='')}"


def instant(value: object) -> datetime | None:
    """Read an RFC 3339 time as an aware ``datetime`` in UTC; None for anything else."""
    try:
        read = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo else None


def whole(value: object) -> int | None:
    """Read an int64, which JSON carries as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def mapping(value: object) -> Mapping[str, object]:
    """Return a JSON object as it is and anything else as an empty one."""
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return a JSON array as it is and anything else as an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def inner(said: Mapping[str, object], *names: str) -> Mapping[str, object]:
    """Return the object at the end of the path ``names``, empty when it is not there."""
    for name in names:
        said = mapping(said.get(name))
    return said


def text(said: Mapping[str, object], name: str) -> str:
    """Return the text at ``name``, empty when it is not there."""
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _written(info: Mapping[str, object]) -> str:
    """Return where a job has written: a directory, or a table, of which Google names the two halves apart."""
    dataset, table = text(info, "bigqueryOutputDataset"), text(info, "bigqueryOutputTable")
    if dataset and table:
        return f"{dataset}.{table.rpartition('.')[2]}"
    return text(info, "gcsOutputDirectory")


def _labels(value: object) -> dict[str, str]:
    return {name: str(label) for name, label in mapping(value).items()}


def _uris(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) and value else tuple(str(uri) for uri in items(value))


def _stats(said: Mapping[str, object]) -> JobStats:
    return JobStats(
        successful=_count(said.get("successfulCount")),
        failed=_count(said.get("failedCount")),
        incomplete=_count(said.get("incompleteCount")),
    )


def _count(value: object) -> int | None:
    count = whole(value)
    return None if count is None or count < 0 else count


def _job_error(value: object) -> JobError | None:
    said = mapping(value)
    return JobError(code=whole(said.get("code")) or 0, message=text(said, "message")) if said else None
