"""AutoML image classification: images in Cloud Storage in, labels out.

A line is ``{"content": "gs://…", "mimeType": "image/jpeg"}`` and has no key: an answer is matched by the
instance that comes back with it. What comes back is read in ``automl_reading``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any, cast

from vertexq.check.base import FieldRules, Weight
from vertexq.check.faults import Flaw, Rule, shown
from vertexq.errors import BadInput
from vertexq.families.automl_reading import reading
from vertexq.families.base import Family, NoRequest, Parameters, Row
from vertexq.families.own_models import Made, OwnName, in_its_region_only
from vertexq.families.wire import Fields, Wire

MIME_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "png": "image/png",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "ico": "image/vnd.microsoft.icon",
}
"""What an object's ending says, for each kind that Google takes (``ImageClassificationPredictionInstance``,
discovery document of aiplatform v1, revision 20261106)."""

MADE = Made(source_type="AUTOML", said="an AutoML model")
_FIELDS = ("content", "mimeType")
_FORM = '"content" (gs://bucket/image.jpg)'


def mime_type_of(name: str) -> str:
    """Return the MIME type of an object by its ending; empty when it is no image that Google takes."""
    _, dot, ending = name.rpartition("/")[2].rpartition(".")
    return MIME_TYPES.get(ending.lower(), "") if dot else ""


def request(row: Row) -> Mapping[str, Any]:
    """Return the instance of a row: a ``gs://`` address, ``{"content", "mimeType"}``, or ``{"request": …}``.

    A missing ``mimeType`` is what the ending says.
    """
    if isinstance(row, str):
        return _instance({"content": row})
    if ("request" in row) == ("content" in row):
        raise NoRequest(f'a row for images has one of {_FORM} and "request"')
    if "content" in row:
        return _instance(row)
    inner = row["request"]
    if not isinstance(inner, Mapping):
        raise NoRequest(f'"request" must be an object with {_FORM}')
    return _instance(cast("Mapping[str, Any]", inner))


def object_row(uri: str) -> Mapping[str, Any] | None:
    """Return the row that an object is, by its ``gs://`` address; None for one that is no image."""
    return {"content": uri} if mime_type_of(uri) else None


def _instance(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found = {name: value for name, value in row.items() if name in _FIELDS}
    if found.get("mimeType") is None:
        found["mimeType"] = row.get("mime_type") or _guessed(row.get("content"))
    return found


def _guessed(content: object) -> str:
    mime_type = mime_type_of(content) if isinstance(content, str) else ""
    if not mime_type:
        known = ", ".join(MIME_TYPES)
        raise NoRequest(f'there is no "mimeType", and the name does not end in one of {known}')
    return mime_type


def check(name: str, value: object) -> Iterator[Flaw]:
    """Yield what is wrong with a field of an instance."""
    if name == "content" and not _is_object(value):
        text = "the image must be an object in Cloud Storage"
        yield Flaw(Rule.REQUEST, "request.content", text, "write gs://bucket/image.jpg")
    elif name == "mimeType" and value not in MIME_TYPES.values():
        text = "this is no kind of image that the model takes"
        known = ", ".join(dict.fromkeys(MIME_TYPES.values()))
        yield Flaw(Rule.UNSUPPORTED, "request.mimeType", text, f"there are {known}")


def _is_object(value: object) -> bool:
    if not isinstance(value, str) or not value.startswith("gs://") or not value.isprintable():
        return False
    bucket, _, name = value.removeprefix("gs://").partition("/")
    return bool(bucket and name) and not name.endswith("/")


def check_names(names: Collection[str]) -> Iterator[Flaw]:
    """Yield what is wrong with the names of an instance's fields together."""
    for name in _FIELDS:
        if name not in names:
            yield Flaw(Rule.REQUEST, "request", f'there is no "{name}"', "write it")
    for name in names:
        if name not in _FIELDS:
            text = f"an image has no field {shown(name)!r}"
            yield Flaw(Rule.UNSUPPORTED, "request", text, "leave it out")


def parameters(given: Parameters) -> Parameters:
    """Return ``confidenceThreshold`` (0 to 1) and ``maxPredictions`` (1 and more); raise ``BadInput``.

    Without them Google takes 0.0 and 10 (``ImageClassificationPredictionParams``, the same document).
    """
    if unknown := sorted(set(given) - {"confidenceThreshold", "maxPredictions"}):
        raise BadInput(
            f"{unknown[0]!r} is no parameter of an AutoML image model; there are confidenceThreshold and "
            "maxPredictions"
        )
    threshold, most = given.get("confidenceThreshold", 0.0), given.get("maxPredictions", 1)
    if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not 0 <= threshold <= 1:
        raise BadInput("confidenceThreshold must be a number from 0 to 1")
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise BadInput("maxPredictions must be a whole number, 1 or more")
    return dict(given)


def _takes(model: str) -> bool:
    own = OwnName.parse(model)
    return own is not None and not own.is_endpoint


def _no_model(_model: str) -> bool:
    """Take no model by its name: nothing in it tells an AutoML model from a tuned one."""
    return False


def _weigh(_name: str, _value: object) -> Weight:
    """Weigh nothing: images are not paid for by tokens."""
    return Weight()


def _estimate(_request: Mapping[str, Any]) -> tuple[int, int]:
    return 0, 0


def _echo(row: Fields) -> object:
    """Return the instance that an output line echoes; a line of an errors file is one, with its error.

    That an errors line repeats the kind of image is said nowhere; where it does not, the name says it.
    """
    instance = row.get("instance")
    found = _of_line(cast("Fields", instance) if isinstance(instance, Mapping) else row)
    if found is not None and found.get("mimeType") is None:
        return {**found, "mimeType": mime_type_of(str(found["content"])) or None}
    return found


def _of_line(row: Fields) -> Fields | None:
    return {name: row[name] for name in _FIELDS if name in row} if "content" in row else None


FAMILY = Family(
    name="automl-image",
    example="projects/P/locations/us-central1/models/1234567890 (with --family automl-image)",
    accepts=_no_model,
    takes=_takes,
    request=request,
    object_row=object_row,
    writes_text=False,
    reading=reading,
    rows_limit=1_000_000,  # images a job (Google's quotas for AutoML, read 2026-11-21)
    input_limit_bytes=100_000_000,  # the file that lists them (the same page)
    check=FieldRules(
        varying="content",
        plain=(),
        check=check,
        check_names=check_names,
        weigh=_weigh,
        imported=False,
    ),
    estimate=_estimate,
    wire=Wire(key="", request_of=_of_line, echo=_echo),
    slots=5,  # jobs at once (the same page)
    made=MADE,
    refusal=partial(in_its_region_only, MADE),
    same_region=True,  # googleapis/python-aiplatform#885
    parameters=parameters,
    job_parameters=dict,
)
