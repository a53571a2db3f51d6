"""Output rows of Gemini's embedding models, made from the seed and the row alone. No I/O.

Shapes are those of Google's page on batch embeddings (read 2026-11-21), and of ``EmbedContentRequest`` in the
discovery document of aiplatform v1 (revision 20261106).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import orjson

from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.importer import RESULTS, Importer
from vertexq.simulator.kinds.base import Importing, Kind, OnlineForm, Task
from vertexq.simulator.kinds.echoes import milliseconds, status_of, united
from vertexq.simulator.kinds.lots import FAILING, Fate, Lots, OutputRow
from vertexq.simulator.kinds.vectors import vector
from vertexq.simulator.prompts import tokens_in

Json = Mapping[str, object]
DIMENSIONS = 3_072
TOKENS_MOST = 2_048
"""What gemini-embedding-001 reads of a text (Google's page on embeddings); the rest is cut off."""
_OPTIONS = {
    "output_dimensionality": "outputDimensionality",
    "task_type": "taskType",
    "title": "title",
}


class Answerer:
    """Answers the rows of one job."""

    def __init__(self, task: Task) -> None:
        self._model = task.model.rpartition("/")[2]
        self._behaviour = task.behaviour
        self._shape = task.shape
        self._lots = Lots(seed=task.seed, behaviour=task.behaviour, salt=task.salt, filters=False)

    def answer(self, line: bytes, now: datetime) -> OutputRow:
        """Return what comes out for one input line."""
        row = cast("dict[str, object]", orjson.loads(line))
        if row.get("response") and not row.get("status"):
            return OutputRow(lines=(line + b"\n",), fate=Fate.ANSWERED)  # an earlier job's answer: resumed
        fate = self._lots.fate(line)
        if fate in (Fate.MISSING, Fate.UNWRITTEN):
            return OutputRow(lines=(), fate=fate)
        request = cast("Json", row["request"])
        nulls = self._behaviour.union_nulls
        body: dict[str, object] = {
            **self._siblings(row),
            "status": "",
            "processed_time": milliseconds(now),
            "request": united(request, self._shape.at("request"), nulls=nulls),
        }
        if fate in FAILING:
            body["status"] = status_of(fate, self._model)
        else:
            body["response"] = self._response(request)
        return OutputRow(lines=self._lots.written(line, orjson.dumps(body) + b"\n"), fate=fate)

    def _siblings(self, row: Json) -> dict[str, object]:
        if self._behaviour.echo is Echo.NONE:
            return {}
        return {name: row[name] for name in sorted(row.keys() - RESULTS - {"request"})}

    def _response(self, request: Json) -> Json:
        text, options = _text(request), _options(request)
        tokens = tokens_in(text)
        counted = min(tokens, TOKENS_MOST)
        dimensions = int(str(options.get("output_dimensionality") or DIMENSIONS))
        counts: dict[str, object] = {"tokenCount": str(counted)}
        if self._behaviour.embedding_usage:
            counts = {"usageMetadata": {"promptTokenCount": counted}}
        cut = {"truncated": True} if tokens > TOKENS_MOST else {}
        return {**counts, **cut, "embedding": {"values": vector(self._dice(text, options), dimensions)}}

    def _dice(self, text: str, options: Json) -> random.Random:
        said = orjson.dumps([text, options.get("task_type"), options.get("title")])
        return self._lots.dice(f"vector {self._model}", said)


def _text(request: Json) -> str:
    content = cast("Json", request.get("content") or {})
    parts = cast("list[Json]", content.get("parts") or [])
    return "".join(str(part.get("text") or "") for part in parts)


def _options(request: Json) -> Json:
    """Return what a request says of its vector, in either form and spelling."""
    nested = request.get("embed_content_config") or request.get("embedContentConfig")
    places = (cast("Json", nested), request) if nested else (request,)
    said = {
        name: next((place[key] for place in places for key in (name, camel) if place.get(key)), None)
        for name, camel in _OPTIONS.items()
    }
    return {name: value for name, value in said.items() if value is not None}


def _importer(behaviour: Behaviour) -> Importing:
    return Importer(check=behaviour.import_check, parts=("request", "content", "parts"))


def _line(request: Json) -> bytes:
    return orjson.dumps({"key": "online", "request": request})


def _said(row: Json) -> object:
    """Return the answer to an online call, which counts tokens in ``usageMetadata`` only."""
    response = dict(cast("Json", row["response"]))
    count = response.pop("tokenCount", None)
    return response if count is None else {**response, "usageMetadata": {"promptTokenCount": int(str(count))}}


KIND = Kind(
    name="gemini-embedding",
    importer=_importer,
    answerer=Answerer,
    online=OnlineForm(verb="embedContent", line=_line, said=_said),
)
