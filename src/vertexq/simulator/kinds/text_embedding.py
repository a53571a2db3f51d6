"""Output rows of text embedding models, made from the seed and the row alone. No I/O.

Shapes are those of Google's page on batch text embeddings, read 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import orjson

from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.importer import Importer
from vertexq.simulator.kinds.base import Importing, Kind, OnlineForm, Tables, Task
from vertexq.simulator.kinds.echoes import retyped, status_of, united
from vertexq.simulator.kinds.lots import FAILING, Fate, Lots, OutputRow
from vertexq.simulator.kinds.vectors import vector
from vertexq.simulator.prompts import tokens_in

Json = Mapping[str, object]
DIMENSIONS = 768
TOKENS_MOST = 2_048
"""What the models read of a text (Google's page on embeddings); the rest is cut off."""
_KNOWN = ("content", "task_type", "title")


class Answerer:
    """Answers the rows of one job. The same text gets the same vector; errors that pass may differ."""

    def __init__(self, task: Task) -> None:
        self._model = task.model.rpartition("/")[2]
        self._behaviour = task.behaviour
        self._shape = task.shape
        self._lots = Lots(seed=task.seed, behaviour=task.behaviour, salt=task.salt, filters=False)
        self._dimensions = int(str(task.parameters.get("outputDimensionality", DIMENSIONS)))
        self._rows = 0

    def answer(self, line: bytes, now: datetime) -> OutputRow:
        """Return what comes out for one input line."""
        del now
        self._rows += 1
        fate = self._lots.fate(line, place=self._rows)
        if fate in (Fate.MISSING, Fate.UNWRITTEN):
            return OutputRow(lines=(), fate=fate)
        instance = cast("Json", orjson.loads(line))
        body: dict[str, object] = {"instance": self._echoed(instance)}
        if fate in FAILING:
            body |= {"predictions": [], "status": status_of(fate, self._model)}
        else:
            body |= {"predictions": [self._prediction(instance)], "status": ""}
        return OutputRow(lines=self._lots.written(line, orjson.dumps(body) + b"\n"), fate=fate)

    def _echoed(self, instance: Json) -> object:
        echo = united(instance, self._shape, nulls=self._behaviour.union_nulls)
        return retyped(echo, self._shape) if self._behaviour.echo is Echo.COERCED else echo

    def _prediction(self, instance: Json) -> Json:
        said = orjson.dumps({name: instance.get(name) for name in _KNOWN})
        dice = self._lots.dice(f"vector {self._model}", said)
        tokens = tokens_in(str(instance["content"]))
        counts = {"token_count": min(tokens, TOKENS_MOST), "truncated": tokens > TOKENS_MOST}
        return {"embeddings": {"statistics": counts, "values": vector(dice, self._dimensions)}}


def _importer(behaviour: Behaviour) -> Importing:
    return Importer(check=behaviour.import_check, column="content", text=True, parts=())


def _said(row: Json) -> object:
    return cast("list[object]", row["predictions"])[0]


KIND = Kind(
    name="text-embedding",
    importer=_importer,
    answerer=Answerer,
    tables=Tables(column="content", results=("predictions", "status"), spread="instance"),
    online=OnlineForm(verb="predict", line=orjson.dumps, said=_said),
    at_once=1,
)
