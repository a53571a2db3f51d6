"""Input lines as producers write them for Gemini, about 900 bytes each; the same for the same number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson

_WORDS = [f"word{number}" for number in range(500)]
_BLOCK_ROWS = 1000
_INSTRUCTION = (
    "You are a careful assistant who reads a message of a customer and says what it is about, in JSON."
)
_SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "topic": {"type": "STRING", "enum": ["billing", "delivery", "other"]},
        "urgency": {"type": "INTEGER"},
        "summary": {"type": "STRING"},
    },
    "required": ["topic", "urgency"],
}
_SETTINGS = [
    {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"},
    {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_ONLY_HIGH"},
]


def _structured(text: str) -> dict[str, Any]:
    return {
        "request": {
            "systemInstruction": {"parts": [{"text": _INSTRUCTION}]},
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {
                "temperature": 0.2,
                "maxOutputTokens": 200,
                "responseMimeType": "application/json",
                "responseSchema": _SCHEMA,
            },
            "safetySettings": _SETTINGS,
        }
    }


def _turns(text: str) -> dict[str, Any]:
    """Return a row that no frame fits: turns and a medium that differ."""
    medium = {"fileData": {"fileUri": f"gs://bucket/{text[:20]}.jpg", "mimeType": "image/jpeg"}}
    asked = {"role": "user", "parts": [{"text": text[:200]}, medium]}
    return {"request": {"contents": [asked, {"role": "model", "parts": [{"text": text}]}, asked]}}


KINDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "structured": _structured,
    "prompts": lambda text: {"prompt": text},
    "turns": _turns,
}


def write(path: Path, kind: str, rows: int) -> Path:
    """Write ``rows`` lines of a kind, unless the file is there already; return the path."""
    if not path.exists():
        with path.open("wb") as file:
            file.writelines(_lines(KINDS[kind], rows))
    return path


def _lines(row: Callable[[str], dict[str, Any]], rows: int) -> Iterator[bytes]:
    rng = Random(1)
    texts = [" ".join(rng.choices(_WORDS, k=40)) + "\nPlease." for _ in range(_BLOCK_ROWS)]
    for index in range(rows):
        text = f"{index} {texts[index % _BLOCK_ROWS]}"
        yield orjson.dumps({"key": f"ticket-{index}", **row(text)}) + b"\n"
