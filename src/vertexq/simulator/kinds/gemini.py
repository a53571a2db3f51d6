"""Output rows of Gemini batch jobs, made from the seed and the row alone. No I/O.

Shapes are those of the aiplatform v1 discovery document (revision 20261106), of the batch prediction pages
of the documentation, and of output rows that users published.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import orjson

from vertexq.simulator.behaviour import Echo
from vertexq.simulator.importer import RESULTS, Importer
from vertexq.simulator.kinds.base import Kind, OnlineForm, Task
from vertexq.simulator.kinds.echoes import milliseconds, status_of, united
from vertexq.simulator.kinds.lots import FAILING, Fate, Lots, OutputRow
from vertexq.simulator.prompts import Prompt, cut_to, prompt_of, tokens_in
from vertexq.simulator.wording import json_text, plain_text

Json = Mapping[str, object]

_CUT_SHARE = 0.5  # of a text that is cut for MAX_TOKENS


class Answerer:
    """Answers the rows of one job."""

    def __init__(self, task: Task) -> None:
        self._model = task.model.rpartition("/")[2]
        self._behaviour = task.behaviour
        self._shape = task.shape
        self._lots = Lots(seed=task.seed, behaviour=task.behaviour, salt=task.salt)

    def answer(self, line: bytes, now: datetime) -> OutputRow:
        """Return what comes out for one input line, apart from times decided by seed and content."""
        row = cast("dict[str, object]", orjson.loads(line))
        if row.get("response") and not row.get("status"):
            return OutputRow(lines=(line + b"\n",), fate=Fate.ANSWERED)  # an earlier job's answer: resumed
        request = cast("Json", row["request"])
        prompt = prompt_of(request)
        fate = Fate.BAD if prompt.role_fault else self._lots.fate(line)
        if fate in (Fate.MISSING, Fate.UNWRITTEN):
            return OutputRow(lines=(), fate=fate)
        dice = self._lots.dice("answer", orjson.dumps(request, option=orjson.OPT_SORT_KEYS))
        body: dict[str, object] = self._siblings(row)
        body |= {"status": "", "processed_time": milliseconds(now), "request": self._echoed(request)}
        body |= self._outcome(fate, prompt, dice, now)
        return OutputRow(lines=self._lots.written(line, orjson.dumps(body) + b"\n"), fate=fate)

    def _siblings(self, row: Json) -> dict[str, object]:
        if self._behaviour.echo is Echo.NONE:
            return {}
        names = {name for name in self._shape.below if name != "request"} if self._union else set(row)
        return {name: self._sibling(name, row.get(name)) for name in sorted(names - RESULTS - {"request"})}

    def _sibling(self, name: str, value: object) -> object:
        coerced = self._behaviour.echo is Echo.COERCED and self._shape.at(name).like_numbers
        if not coerced or not isinstance(value, str):
            return value
        return float(value) if "." in value else int(value)

    @property
    def _union(self) -> bool:
        return self._behaviour.union_nulls

    def _echoed(self, request: Json) -> object:
        return united(request, self._shape.at("request"), nulls=self._union)

    def _outcome(self, fate: Fate, prompt: Prompt, dice: random.Random, now: datetime) -> dict[str, object]:
        if fate in FAILING:
            return self._failure(fate, dice)
        response = {
            "createTime": _microseconds(now),
            "modelVersion": self._model,
            "responseId": f"{dice.getrandbits(128):032x}"[:22],
        }
        if fate is Fate.BLOCKED:
            feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "The prompt was blocked."}
            return self._response(
                {**response, "promptFeedback": feedback, **self._usage(prompt.tokens, 0, dice)}
            )
        if fate is Fate.SAFETY:
            return self._response(
                {**response, "candidates": [_withheld()], **self._usage(prompt.tokens, 0, dice)}
            )
        text, reason = self._text(fate, prompt, dice)
        answered = tokens_in(text) * prompt.candidates
        candidates = [_candidate(text, reason, dice) for _ in range(prompt.candidates)]
        return self._response(
            {**response, "candidates": candidates, **self._usage(prompt.tokens, answered, dice)}
        )

    def _response(self, response: dict[str, object]) -> dict[str, object]:
        return {"response": dict(sorted(response.items()))}

    def _failure(self, fate: Fate, dice: random.Random) -> dict[str, object]:
        empty = self._behaviour.empty_response_on_failure and dice.random() < 0.5  # noqa: PLR2004
        return {"status": status_of(fate, self._model), **({"response": {}} if empty else {})}

    def _text(self, fate: Fate, prompt: Prompt, dice: random.Random) -> tuple[str, str]:
        words = self._behaviour.answer_words
        odd = dice.random() < self._behaviour.odd_rows
        if prompt.wants_json:
            text = json_text(prompt.text, prompt.schema, words, dice)
        else:
            text = plain_text(prompt.text, words, dice, odd=odd)
        most = prompt.answer_tokens
        if fate is Fate.CUT:
            most = int(tokens_in(text) * _CUT_SHARE)
        if most is None or tokens_in(text) <= most:
            return text, "STOP"
        return cut_to(text, most), "MAX_TOKENS"

    def _usage(self, prompt_tokens: int, answer_tokens: int, dice: random.Random) -> dict[str, object]:
        thoughts = dice.randint(50, 500) if dice.random() < self._behaviour.thinking_rows else 0
        usage: dict[str, object] = {
            "promptTokenCount": prompt_tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt_tokens}],
            "trafficType": "ON_DEMAND",
        }
        if answer_tokens:
            usage["candidatesTokenCount"] = answer_tokens
            usage["candidatesTokensDetails"] = [{"modality": "TEXT", "tokenCount": answer_tokens}]
        if thoughts and answer_tokens:
            usage["thoughtsTokenCount"] = thoughts
        if dice.random() >= self._behaviour.no_total_rows:
            usage["totalTokenCount"] = prompt_tokens + answer_tokens + (thoughts if answer_tokens else 0)
        if dice.random() < self._behaviour.no_usage_rows:
            return {}
        return {"usageMetadata": dict(sorted(usage.items()))}


def _candidate(text: str, reason: str, dice: random.Random) -> dict[str, object]:
    content = {"parts": [{"text": text}], "role": "model"}
    return {"avgLogprobs": -round(dice.random(), 6), "content": content, "finishReason": reason}


def _withheld() -> dict[str, object]:
    rating = {"blocked": True, "category": "HARM_CATEGORY_HATE_SPEECH", "probability": "HIGH"}
    return {"finishReason": "SAFETY", "safetyRatings": [rating]}


def _microseconds(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


KIND = Kind(
    name="gemini",
    importer=lambda behaviour: Importer(check=behaviour.import_check),
    answerer=Answerer,
    online=OnlineForm(
        verb="generateContent",
        line=lambda request: orjson.dumps({"request": request}),
        said=lambda row: row["response"],
    ),
)
