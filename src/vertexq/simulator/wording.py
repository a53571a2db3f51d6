"""The words of simulated answers: plain text, and JSON after a schema. No I/O."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import cast

import orjson

Json = Mapping[str, object]

_WORDS = tuple(
    """
    the a this each some few many river cloud table queue answer letter number colour question method reason
    simple small bright quiet steady useful early late open first next last holds shows gives takes keeps
    moves counts follows explains with from under over after before because while so and then often
    """.split()  # noqa: SIM905  (fifty words a line each help nobody)
)
_ODD = 'line one\u2028line two\u2029line three\u0085line four \u00e9\U0001f30d\\ "quoted"\ttab\nnew line'
_DEEPEST = 6  # below that a schema gets only nulls


def plain_text(prompt: str, words: int, dice: random.Random, *, odd: bool) -> str:
    """Return a sentence or two that depend on the prompt; an ``odd`` one has what splits lines wrongly."""
    own = prompt.split()[:8]
    chosen = dice.choices([*_WORDS, *own], k=max(1, words))
    text = f"{' '.join(own)}: {' '.join(chosen)}."
    return f"{text} {_ODD}" if odd else text


def json_text(prompt: str, schema: Json, words: int, dice: random.Random) -> str:
    """Return JSON that fits a response schema, or ``{"answer": "…"}`` without one."""
    if not schema:
        return orjson.dumps({"answer": plain_text(prompt, words, dice, odd=False)}).decode()
    return orjson.dumps(_value(schema, prompt, dice, _DEEPEST)).decode()


def _value(schema: Json, prompt: str, dice: random.Random, levels: int) -> object:
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return dice.choice(cast("list[object]", choices))
    kind = _type(schema)
    if kind in {"OBJECT", "ARRAY"}:
        return _nested(kind, schema, prompt, dice, levels) if levels else None
    scalars: dict[str, object] = {
        "INTEGER": dice.randint(0, 100),
        "NUMBER": round(dice.uniform(0, 100), 2),
        "BOOLEAN": dice.choice((True, False)),
    }
    return scalars.get(kind, plain_text(prompt, 4, dice, odd=False))


def _nested(kind: str, schema: Json, prompt: str, dice: random.Random, levels: int) -> object:
    if kind == "ARRAY":
        each = cast("Json", schema.get("items") or {})
        return [_value(each, prompt, dice, levels - 1) for _ in range(dice.randint(1, 3))]
    properties = cast("dict[str, Json]", schema.get("properties") or {})
    return {name: _value(each, prompt, dice, levels - 1) for name, each in properties.items()}


def _type(schema: Json) -> str:
    """Return the type, as OpenAPI's ``STRING`` whether that or JSON Schema's ``string`` is written."""
    written = schema.get("type")
    names = cast("list[object]", written) if isinstance(written, list) else [written]
    first = next((str(name).upper() for name in names if name not in {None, "null"}), "")
    return first or ("OBJECT" if "properties" in schema else "STRING")
