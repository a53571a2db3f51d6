"""Google's discovery document for Vertex AI as JSON Schema: what a request and an answer must look like."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

import jsonschema

from tests.contract.recording_proxy import Exchange
from vertexq.states import JobState

Json = Mapping[str, Any]
_PREFIX = "#/definitions/"
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"
_STATES = [state.value for state in JobState]  # in the order of their numbers
_FORMATS: dict[str, Json] = {
    "int64": {"type": "string", "pattern": r"^-?\d+$"},
    "int32": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "google-datetime": {"type": "string", "pattern": _TIME},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method of the document. ``sent`` names the schema of its body, empty when it has none."""

    id: str
    verb: str
    path: re.Pattern[str]
    parameters: frozenset[str]
    sent: str
    said: str


class Document:
    """The discovery document of one version, ``v1`` or ``v1beta1``, from google-api-python-client."""

    def __init__(self, version: str) -> None:
        self._document = discovery_document(f"aiplatform.{version}")
        schemas = cast("Json", self._document["schemas"])
        self._definitions = {name: _converted(schema) for name, schema in schemas.items()}
        self.methods = self._methods()

    def method(self, verb: str, path: str) -> Method:
        """Return the method that answers ``verb path``; raise ``LookupError`` when Google has none."""
        for method in self.methods:
            if method.verb == verb and method.path.fullmatch(path.removeprefix("/")):
                return method
        raise LookupError(f"the discovery document has no method for {verb} {path}")

    def faults(self, value: object, schema: str) -> list[str]:
        """Return how ``value`` differs from the named schema."""
        whole = {"$ref": _PREFIX + schema, "definitions": self._definitions}
        validator = cast("Any", jsonschema.Draft7Validator(whole))  # its types say less than it takes
        return [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(value)]

    def _methods(self) -> list[Method]:
        locations = self._document["resources"]["projects"]["resources"]["locations"]["resources"]
        published = self._document["resources"]["publishers"]["resources"]["models"]
        endpoints = locations["endpoints"]
        wanted = (
            *(locations[name] for name in ("batchPredictionJobs", "operations", "models")),
            *(endpoints, endpoints["resources"]["operations"], published),
            locations["publishers"]["resources"]["models"],
        )
        shared = frozenset(self._document["parameters"])
        return [_method(each, shared) for group in wanted for each in group["methods"].values()]


def exchange_faults(exchange: Exchange) -> list[str]:
    """Return how a request and its answer differ from the document of the version they are in.

    google-cloud-aiplatform asks for enums as numbers, and for operations below ``/ui``; neither is in the
    document, so both are turned back first.
    """
    path = exchange.path.replace("/ui/", "/v1/", 1)
    numbers = exchange.query.get("$alt") == "json;enum-encoding=int"
    known = document(path.split("/")[1])
    method = known.method(exchange.verb, path)
    asked = exchange.query.keys() - ({"$alt"} if numbers else set[str]())
    faults = [f"{method.id} has no parameter {name}" for name in asked - method.parameters]
    if method.sent:
        faults += known.faults(exchange.sent or {}, method.sent)
    elif exchange.sent:
        faults.append(f"{method.id} has no body")
    if exchange.status != 200:
        return faults + _error_faults(exchange, known)
    return faults + known.faults(_with_words(exchange.said) if numbers else exchange.said, method.said)


def _error_faults(exchange: Exchange, known: Document) -> list[str]:
    """Check Google's envelope of an error: a status word beside what a google.rpc.Status has."""
    error = dict(exchange.said["error"])
    wrong = [] if re.fullmatch("[A-Z_]+", error.pop("status", "")) else ["no status word"]
    wrong += [] if error.get("code") == exchange.status else ["the code is not the HTTP status"]
    return wrong + known.faults(error, "GoogleRpcStatus")


def _with_words(value: dict[str, Any]) -> dict[str, Any]:
    """Put the words of job states back in place of their numbers."""
    jobs = cast("list[dict[str, Any]]", value.get("batchPredictionJobs") or [value])
    for job in jobs:
        if "state" in job:
            number: object = job["state"]
            job["state"] = _STATES[number] if isinstance(number, int) else f"{number}, not a number"
    return value


@cache
def document(version: str) -> Document:
    """Return the document of a version, read once."""
    return Document(version)


def _method(described: Json, shared: frozenset[str]) -> Method:
    own = {name for name, each in described.get("parameters", {}).items() if each["location"] == "query"}
    path = re.sub(r"\\{\w+\\}", "[^/:]+", re.escape(described["flatPath"]))
    return Method(
        id=described["id"],
        verb=described["httpMethod"],
        path=re.compile(path),
        parameters=shared | own,
        sent=described.get("request", {}).get("$ref", ""),
        said=described["response"]["$ref"],
    )


def _converted(schema: Json) -> dict[str, Any]:
    """Return a discovery schema as JSON Schema; a message has no other fields than those it names."""
    if "$ref" in schema:
        return {"$ref": _PREFIX + schema["$ref"]}
    kind = schema["type"]
    if kind == "any":
        return {}
    if kind == "array":
        return {"type": "array", "items": _converted(schema["items"])}
    if kind == "object":
        return _object(schema)
    made = dict(_FORMATS.get(schema.get("format", ""), {"type": kind}))
    return made | ({"enum": schema["enum"]} if "enum" in schema else {})


def _object(schema: Json) -> dict[str, Any]:
    properties = {name: _converted(each) for name, each in schema.get("properties", {}).items()}
    others = schema.get("additionalProperties")
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": _converted(others) if others else False,
    }


KINDS: dict[str, type] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": float,
    "array": list,
    "object": dict,
}


def discovery_document(name: str) -> Json:
    """Return a discovery document (``storage.v1``) from google-api-python-client."""
    text = files("googleapiclient").joinpath("discovery_cache", "documents", f"{name}.json").read_text()
    return cast("Json", json.loads(text))


def faults_of(value: object, schema: Json, where: str, schemas: Json) -> list[str]:
    """Return how ``value`` differs from ``schema``, one of ``schemas``: unknown names and wrong types."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"]]
    if schema["type"] == "any" or value is None:
        return []
    if not isinstance(value, KINDS[schema["type"]]):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if isinstance(value, list):
        each = [
            (f"{where}[{at}]", item, schema["items"]) for at, item in enumerate(cast("list[object]", value))
        ]
        return [fault for at, item, below in each for fault in faults_of(item, below, at, schemas)]
    if not isinstance(value, dict):
        return _of_format(value, str(schema.get("format", "")), where)
    members = cast("dict[str, object]", value).items()
    return [fault for name, item in members for fault in _of_member(name, item, schema, where, schemas)]


def _of_member(name: str, item: object, schema: Json, where: str, schemas: Json) -> list[str]:
    below = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
    return faults_of(item, below, f"{where}.{name}", schemas) if below else [f"{where}.{name}: unknown"]


def _of_format(value: object, form: str, where: str) -> list[str]:
    text = str(value)
    wrong = (form in {"int64", "uint64"} and not text.isdigit()) or (form == "date-time" and text[-1] != "Z")
    return [f"{where}: {value!r} is no {form}"] if wrong else []
