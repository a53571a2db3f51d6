"""What callers ask of the simulated Vertex AI: bodies and parameters, read and judged. No I/O.

The rules are those of the aiplatform v1 discovery document (revision 20261106). Like Google, it takes a bare
string for ``uris``, snake_case names, and a ``name`` in the body of a create.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import cast

import orjson

from vertexq.errors import Refused
from vertexq.simulator.vertex.models import Models

Json = Mapping[str, object]

_KNOWN = frozenset(
    {
        *("completionStats", "createTime", "dedicatedResources", "disableContainerLogging"),
        *("displayName", "encryptionSpec", "endTime", "error", "explanationSpec", "generateExplanation"),
        *("inputConfig", "instanceConfig", "labels", "manualBatchTuningParameters", "model"),
        *("modelParameters", "modelVersionId", "name", "outputConfig", "outputInfo", "partialFailures"),
        *("resourcesConsumed", "satisfiesPzi", "satisfiesPzs", "serviceAccount", "startTime", "state"),
        *("unmanagedContainerModel", "updateTime", "endpoint", "modelMonitoringConfig"),
        *("modelMonitoringStatsAnomalies", "modelMonitoringStatus"),
    }
)
_KEPT = ("displayName", "model", "inputConfig", "instanceConfig", "outputConfig", "modelParameters", "labels")
_FREE = frozenset({"labels", "modelParameters"})  # what is below keeps its own names
_PUBLISHER_MODEL = re.compile(
    r"(?:projects/[^/]+/locations/(?P<location>[^/]+)/)?publishers/(?P<publisher>[^/]+)/models/(?P<model>[^/]+)"
)
_OWN_MODEL = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/models/[^/]+")
_LABEL = re.compile(r"[\w-]{0,64}")
_ADDRESS = re.compile(r"(?=.{6,2000}$)bq://[a-z][a-z0-9:-]*(\.\w+(\.[\w-]+)?)?")
_LABELS = 64
_FORMATS = {
    "instancesFormat": {
        "jsonl",
        "csv",
        "tf-record",
        "tf-record-gzip",
        "bigquery",
        "file-list",
        "vertex-dataset",
    },
    "predictionsFormat": {"jsonl", "csv", "bigquery", "vertex-dataset"},
}


def project_number(project: str) -> str:
    """Return the number of a project: twelve digits that only its id decides; a number stays what it is."""
    if project.isdigit():
        return project
    digest = hashlib.blake2b(project.encode(), digest_size=8).digest()
    return str(10**11 + int.from_bytes(digest) % (9 * 10**11))


def job_from(body: bytes, *, location: str, models: Models) -> dict[str, object]:
    """Return what a create asks for, in Google's spelling; raise ``Refused`` or ``NotFound``."""
    given = spelled_body(body, free=_FREE)
    if unknown := sorted(set(given) - _KNOWN):
        raise invalid(f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')
    job = {name: given[name] for name in _KEPT if name in given}
    _require(job, "displayName", "batch_prediction_job.display_name")
    if len(str(job["displayName"])) > 128:  # noqa: PLR2004  (characters, google-cloud-aiplatform's docstring)
        raise invalid("The display name must be at most 128 characters.", field="display_name")
    _check_labels(job)
    _check_input(job)
    _check_output(job)
    _check_model(job, location, models)
    if output_prefix_of(job).count(".") > 1 and not models.kind_of(str(job["model"])).tables.named:
        raise invalid("Table name is not allowed in Bigquery output uri")  # googleapis/python-aiplatform#1615
    return job


def uris_of(job: Json) -> tuple[str, ...]:
    """Return the ``gs://`` URIs, or the ``bq://`` table, that a job reads; none for something else."""
    config = cast("Json", job["inputConfig"])
    if "bigquerySource" in config:
        return (str(cast("Json", config["bigquerySource"])["inputUri"]),)
    return tuple(cast("list[str]", cast("Json", config.get("gcsSource", {})).get("uris", [])))


def output_prefix_of(job: Json) -> str:
    """Return the ``gs://`` prefix or the ``bq://`` address that a job writes to; empty for something else."""
    config = cast("Json", job["outputConfig"])
    if "bigqueryDestination" in config:
        return str(cast("Json", config["bigqueryDestination"])["outputUri"])
    return str(cast("Json", config.get("gcsDestination", {})).get("outputUriPrefix", ""))


def invalid(message: str, *, field: str = "") -> Refused:
    """Return the 400 of a call that can never work; ``field`` is what a ``BadRequest`` detail names."""
    error = Refused(message, status=400, code="INVALID_ARGUMENT")
    if field:
        error.add_note(field)
    return error


def spelled_body(body: bytes, *, free: frozenset[str]) -> dict[str, object]:
    """Return a body in Google's spelling; what is below a ``free`` name keeps its own names.

    Raise ``Refused`` when it is no JSON object.
    """
    return _spelled(_object(body), free)


def _object(body: bytes) -> Json:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error
    if not isinstance(value, dict):
        raise invalid("Invalid JSON payload received. Expected an object.")
    return cast("Json", value)


def _spelled(value: Json, free: frozenset[str]) -> dict[str, object]:
    spelled: dict[str, object] = {}
    for name, below in value.items():
        camel = re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
        deeper = isinstance(below, dict) and camel not in free
        spelled[camel] = _spelled(cast("Json", below), free) if deeper else below
    return spelled


def _require(holder: Json, name: str, path: str) -> object:
    value = holder.get(name)
    if value in (None, "", {}, []):
        raise invalid(f"The {path} field is required.", field=path)
    return value


def _section(job: Json, name: str) -> dict[str, object]:
    path = f"batch_prediction_job.{re.sub(r'([A-Z])', lambda found: f'_{found[1].lower()}', name)}"
    section = _require(job, name, path)
    if not isinstance(section, dict):
        raise invalid(f"Invalid value at '{path}', an object is expected.", field=path)
    return cast("dict[str, object]", section)


def _check_input(job: Json) -> None:
    config = _section(job, "inputConfig")
    _check_format(config, "instancesFormat", "input_config.instances_format")
    sources = [
        name for name in ("gcsSource", "bigquerySource", "vertexMultimodalDatasetSource") if name in config
    ]
    if len(sources) != 1:
        raise invalid("Exactly one source must be set in input_config.", field="input_config.source")
    if "gcsSource" in config:
        source = _section(config, "gcsSource")
        uris = source.get("uris")
        source["uris"] = [uris] if isinstance(uris, str) else uris
        given = cast("list[object]", source["uris"]) if isinstance(source["uris"], list) else []
        if not given or not all(isinstance(uri, str) and uri.startswith("gs://") for uri in given):
            raise invalid(
                "input_config.gcs_source.uris must be gs:// URIs.", field="input_config.gcs_source.uris"
            )
    if "bigquerySource" in config:
        _check_address(
            _section(config, "bigquerySource"), "inputUri", "input_config.bigquery_source", parts=3
        )


def _check_output(job: Json) -> None:
    config = _section(job, "outputConfig")
    _check_format(config, "predictionsFormat", "output_config.predictions_format")
    kinds = ("gcsDestination", "bigqueryDestination", "vertexMultimodalDatasetDestination")
    if len([name for name in kinds if name in config]) != 1:
        raise invalid(
            "Exactly one destination must be set in output_config.", field="output_config.destination"
        )
    if "gcsDestination" in config:
        prefix = _section(config, "gcsDestination").get("outputUriPrefix")
        if not isinstance(prefix, str) or not prefix.startswith("gs://"):
            path = "output_config.gcs_destination.output_uri_prefix"
            raise invalid(f"{path} must be a gs:// URI.", field=path)
    if "bigqueryDestination" in config:
        destination = _section(config, "bigqueryDestination")
        _check_address(destination, "outputUri", "output_config.bigquery_destination", parts=1)


def _check_address(section: Json, name: str, path: str, *, parts: int) -> None:
    given = section.get(name)
    if not isinstance(given, str) or not _ADDRESS.fullmatch(given) or given.count(".") < parts - 1:
        raise invalid(f"{path} must be a bq:// URI of at most 2000 characters.", field=path)


def _check_format(config: Json, name: str, path: str) -> None:
    given = _require(config, name, path)
    if given not in _FORMATS[name]:
        raise invalid(f"Unsupported value for {path}: {given}.", field=path)


def _check_labels(job: Json) -> None:
    labels = job.get("labels", {})
    if not isinstance(labels, dict):
        raise invalid("labels must be an object of texts.", field="labels")
    known = cast("dict[str, object]", labels)
    if len(known) > _LABELS:
        raise invalid(f"At most {_LABELS} labels are allowed.", field="labels")
    for key, value in known.items():
        if not _fits_label(key) or not key or not isinstance(value, str) or not _fits_label(value):
            rules = "lowercase letters, numeric characters, underscores and dashes, at most 64 characters"
            raise invalid(f"Label {key!r} is invalid: keys and values can only hold {rules}.", field="labels")


def _fits_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None and text == text.lower()


def _check_model(job: Json, location: str, models: Models) -> None:
    model = str(_require(job, "model", "batch_prediction_job.model"))
    found = _PUBLISHER_MODEL.fullmatch(model) or _OWN_MODEL.fullmatch(model)
    if found is None:
        raise invalid(f"Invalid model resource name: {model}", field="model")
    named = found.groupdict()
    if named["location"] not in {None, location}:
        raise invalid(f"The model {model} must be in the location of the job, {location}.", field="model")
    if "publisher" in named:
        models.check_published(named["publisher"] or "", named["model"] or "", location)
    else:
        models.check_own(model)
