"""Output rows of AutoML image classification, made from the seed and the row alone. No I/O.

Shapes are those of the aiplatform v1 discovery document (revision 20261106); where its texts disagree (ids as
numbers or as text, errors beside the answers or in files of their own) the behaviour decides.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import orjson

from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.kinds.base import Importing, Kind, OnlineForm, Tables, Task
from vertexq.simulator.kinds.line_import import LineImporter, Row
from vertexq.simulator.kinds.lots import FAILING, Fate, Lots, OutputRow

LABELS = (
    *("daisy", "dandelion", "rose", "sunflower", "tulip", "iris", "lily", "orchid", "poppy", "violet"),
    *("aster", "clover"),
)
ABSENT = "missing-"
"""Images whose name begins so are not there."""

_DEFAULT_MOST = 10  # labels an image
_ERRORS = {
    Fate.BAD: (3, "INVALID_ARGUMENT", "The image cannot be decoded."),
    Fate.QUOTA: (8, "RESOURCE_EXHAUSTED", "Quota exceeded. Please try again later with backoff."),
    Fate.SERVER_ERROR: (13, "INTERNAL", "Internal error encountered."),
}
_NOT_FOUND = (5, "NOT_FOUND", "The image cannot be read: it is not there.")


class Answerer:
    """Answers the images of one job. The same image gets the same labels; errors that pass may differ."""

    def __init__(self, task: Task) -> None:
        self._behaviour = task.behaviour
        self._lots = Lots(seed=task.seed, behaviour=task.behaviour, salt=task.salt, filters=False)
        self._threshold = float(str(task.parameters.get("confidenceThreshold", 0.0)))
        self._most = int(str(task.parameters.get("maxPredictions", _DEFAULT_MOST)))
        self._rows = 0

    def answer(self, line: bytes, now: datetime) -> OutputRow:
        """Return what comes out for one input line."""
        del now
        self._rows += 1
        fate = self._lots.fate(line, place=self._rows)
        if fate in (Fate.MISSING, Fate.UNWRITTEN):
            return OutputRow(lines=(), fate=fate)
        instance = cast("Mapping[str, object]", orjson.loads(line))
        absent = str(instance.get("content", "")).rpartition("/")[2].startswith(ABSENT)
        if absent or fate in FAILING:
            error = _NOT_FOUND if absent else _ERRORS[fate]
            return self._failed(line, instance, error, Fate.BAD if absent else fate)
        labels = self._labels(self._lots.dice("answer", line))
        body = {"instance": instance, "prediction": labels}
        return OutputRow(lines=self._lots.written(line, orjson.dumps(body) + b"\n"), fate=fate)

    def _failed(
        self, line: bytes, instance: Mapping[str, object], error: tuple[int, str, str], fate: Fate
    ) -> OutputRow:
        code, word, message = error
        apart = not self._behaviour.errors_inline
        if apart:
            body = {**instance, "error": {"code": code, "message": message}}
        else:
            body = {"instance": instance, "error": {"status": word, "message": message}}
        lines = self._lots.written(line, orjson.dumps(body) + b"\n")
        return OutputRow(lines=lines, fate=fate, apart=apart)

    def _labels(self, dice: random.Random) -> dict[str, list[object]]:
        weights = [dice.random() ** 8 + 1e-6 for _ in LABELS]
        shares = [round(weight / sum(weights), 6) for weight in weights]
        ranked = sorted(zip(shares, range(1, len(LABELS) + 1), LABELS, strict=True), reverse=True)
        kept = [each for each in ranked if each[0] >= self._threshold][: self._most]
        return {
            "ids": [str(number) if self._behaviour.ids_as_text else number for _, number, _ in kept],
            "displayNames": [label for _, _, label in kept],
            "confidences": [share for share, _, _ in kept],
        }


def _fault(row: Row) -> str:
    content = row.get("content")
    return "" if isinstance(content, str) and content.startswith("gs://") else "content is no gs:// URI"


def _importer(behaviour: Behaviour) -> Importing:
    return LineImporter(_fault, check=behaviour.import_check)


def _files(shards: int) -> list[str]:
    return [f"predictions_{number:05}.jsonl" for number in range(1, max(shards, 1) + 1)]


def _line(instance: Mapping[str, object]) -> bytes:
    """Return the row of an image that comes as bytes: the same bytes are the same row."""
    try:
        image = base64.b64decode(str(instance.get("content", "")), validate=True)
    except ValueError:
        image = b""
    content = f"gs://online/{hashlib.sha256(image).hexdigest()}" if image else ""
    return orjson.dumps({"content": content, "mimeType": "image/jpeg"})


KIND = Kind(
    name="automl-image",
    importer=_importer,
    answerer=Answerer,
    files=_files,
    error_file="errors_00001.jsonl",
    online=OnlineForm(verb="predict", line=_line, said=lambda row: row["prediction"]),
    tables=Tables(column="content", results=("prediction", "error"), spread="instance", named=False),
)
