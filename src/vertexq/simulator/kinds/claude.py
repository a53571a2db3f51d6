"""Output rows of Claude's batch jobs, made from the seed and the row alone. No I/O.

Google documents the columns of an output and no more; the response is a message of Anthropic's API.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import orjson

from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.kinds.base import Importing, Kind, Tables, Task
from vertexq.simulator.kinds.line_import import LineImporter, Row
from vertexq.simulator.kinds.lots import Fate, Lots, OutputRow
from vertexq.simulator.prompts import cut_to, tokens_in
from vertexq.simulator.wording import plain_text

Json = Mapping[str, object]
_NEEDED = ("messages", "max_tokens", "anthropic_version")
_STATUS = {
    Fate.BAD: (400, "messages: roles must alternate", "INVALID_ARGUMENT"),
    Fate.QUOTA: (429, "Quota exceeded. Please try again later with backoff.", "RESOURCE_EXHAUSTED"),
    Fate.SERVER_ERROR: (500, "Internal error encountered.", "INTERNAL"),
}
_CUT_SHARE = 0.5  # of an answer that max_tokens breaks off


class Answerer:
    """Answers the rows of one job."""

    def __init__(self, task: Task) -> None:
        self._model = task.model.rpartition("/")[2].partition("@")[0]
        self._behaviour = task.behaviour
        self._lots = Lots(seed=task.seed, behaviour=task.behaviour, salt=task.salt)

    def answer(self, line: bytes, now: datetime) -> OutputRow:
        """Return what comes out for one input line."""
        row = cast("dict[str, object]", orjson.loads(line))
        fate = self._lots.fate(line)
        if fate in (Fate.MISSING, Fate.UNWRITTEN):
            return OutputRow(lines=(), fate=fate)
        body: dict[str, object] = {**row, "processed_time": now.isoformat(timespec="milliseconds")}
        if fate in _STATUS:
            code, message, word = _STATUS[fate]
            error = orjson.dumps({"error": {"code": code, "message": message, "status": word}}).decode()
            body |= {"status": f"{word}: {error}", "response": {}}
        else:
            body |= {"status": "", "response": self._message(cast("Json", row["request"]), fate)}
        return OutputRow(lines=self._lots.written(line, orjson.dumps(body) + b"\n"), fate=fate)

    def _message(self, request: Json, fate: Fate) -> dict[str, object]:
        dice = self._lots.dice("answer", orjson.dumps(request, option=orjson.OPT_SORT_KEYS))
        asked = last_text(request)
        text, stop = self._text(asked, request.get("max_tokens"), fate, dice)
        read = tokens_in(asked)
        use = {"input_tokens": read, "output_tokens": tokens_in(text) if text else 0}
        cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        return {
            "id": f"msg_vrtx_{dice.getrandbits(96):024x}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {**use, **cache},
        }

    def _text(self, asked: str, most: object, fate: Fate, dice: random.Random) -> tuple[str, str]:
        if fate in (Fate.BLOCKED, Fate.SAFETY):
            return "", "refusal"
        text = plain_text(
            asked, self._behaviour.answer_words, dice, odd=dice.random() < self._behaviour.odd_rows
        )
        limit = most if isinstance(most, int) else tokens_in(text)
        if fate is Fate.CUT:
            limit = min(limit, int(tokens_in(text) * _CUT_SHARE))
        return (text, "end_turn") if tokens_in(text) <= limit else (cut_to(text, limit), "max_tokens")


def last_text(request: Json) -> str:
    """Return the text of the last message of a request."""
    messages = request.get("messages")
    last = cast("list[object]", messages)[-1] if isinstance(messages, list) and messages else None
    content = cast("Json", last).get("content") if isinstance(last, dict) else ""
    if isinstance(content, str):
        return content
    blocks = cast("list[object]", content) if isinstance(content, list) else []
    texts = [cast("Json", block).get("text") for block in blocks if isinstance(block, dict)]
    return " ".join(text for text in texts if isinstance(text, str))


def _fault(row: Row) -> str:
    request = row.get("request")
    if not isinstance(row.get("custom_id"), str) or not isinstance(request, dict):
        return "a row has a custom_id and a request"
    lacks = [name for name in _NEEDED if name not in request]
    return f"the request has no {lacks[0]}" if lacks else ""


def _importer(behaviour: Behaviour) -> Importing:
    return LineImporter(_fault, check=behaviour.import_check)


KIND = Kind(
    name="claude",
    importer=_importer,
    answerer=Answerer,
    tables=Tables(column="request", results=("request", "response", "status", "processed_time")),
)
