"""Output rows of batch jobs of open models, made from the seed and the row alone. No I/O.

Google documents the columns of an output and no more; the response is a chat completion.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import orjson

from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.kinds.base import Importing, Kind, Tables, Task
from vertexq.simulator.kinds.claude import last_text
from vertexq.simulator.kinds.line_import import LineImporter, Row
from vertexq.simulator.kinds.lots import Fate, Lots, OutputRow
from vertexq.simulator.prompts import cut_to, tokens_in
from vertexq.simulator.wording import plain_text

Json = Mapping[str, object]
_ERRORS = {
    Fate.BAD: (400, "messages: a role is none", "BadRequestError"),
    Fate.QUOTA: (429, "Too many requests. Please try again later.", "RateLimitError"),
    Fate.SERVER_ERROR: (500, "Internal error encountered.", "InternalServerError"),
}
_DROPPED = ("method", "url", "body")  # columns that do not come back
_CUT_SHARE = 0.5  # of an answer that the limit of tokens breaks off


class Answerer:
    """Answers the rows of one job."""

    def __init__(self, task: Task) -> None:
        self._model = task.model
        self._behaviour = task.behaviour
        self._lots = Lots(seed=task.seed, behaviour=task.behaviour, salt=task.salt)

    def answer(self, line: bytes, now: datetime) -> OutputRow:
        """Return what comes out for one input line."""
        row = cast("dict[str, object]", orjson.loads(line))
        fate = self._lots.fate(line)
        if fate in (Fate.MISSING, Fate.UNWRITTEN):
            return OutputRow(lines=(), fate=fate)
        dice = self._lots.dice("answer", line)
        body = {name: value for name, value in row.items() if name not in _DROPPED}
        body["id"] = f"b-{dice.getrandbits(64):016x}"
        if fate in _ERRORS:
            code, message, word = _ERRORS[fate]
            body |= {"response": None, "error": {"code": code, "message": message, "type": word}}
        else:
            request = cast("Json", row["body"])
            body |= {"response": self._completion(request, fate, dice, now), "error": None}
        return OutputRow(lines=self._lots.written(line, orjson.dumps(body) + b"\n"), fate=fate)

    def _completion(self, request: Json, fate: Fate, dice: random.Random, now: datetime) -> dict[str, object]:
        asked = last_text(request)
        text, finish = self._text(asked, request, fate, dice)
        read, said = tokens_in(asked), tokens_in(text) if text else 0
        message = {"role": "assistant", "content": text}
        return {
            "id": f"chatcmpl-{dice.getrandbits(96):024x}",
            "object": "chat.completion",
            "created": int(now.timestamp()),
            "model": self._model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
            "usage": {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said},
        }

    def _text(self, asked: str, request: Json, fate: Fate, dice: random.Random) -> tuple[str, str]:
        if fate in (Fate.BLOCKED, Fate.SAFETY):
            return "", "content_filter"
        text = plain_text(
            asked, self._behaviour.answer_words, dice, odd=dice.random() < self._behaviour.odd_rows
        )
        most = request.get("max_completion_tokens", request.get("max_tokens"))
        limit = most if isinstance(most, int) else tokens_in(text)
        if fate is Fate.CUT:
            limit = min(limit, int(tokens_in(text) * _CUT_SHARE))
        return (text, "stop") if tokens_in(text) <= limit else (cut_to(text, limit), "length")


def _fault(row: Row) -> str:
    if not isinstance(row.get("custom_id"), str) or not isinstance(row.get("body"), dict):
        return "a row has a custom_id and a body"
    return "" if "messages" in cast("Json", row["body"]) else "the body has no messages"


def _importer(behaviour: Behaviour) -> Importing:
    return LineImporter(_fault, check=behaviour.import_check)


KIND = Kind(
    name="open-model",
    importer=_importer,
    answerer=Answerer,
    tables=Tables(column="body", results=("response", "id", "error")),
)
