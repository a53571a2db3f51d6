"""Output lines as Gemini writes them, about 1.9 kB each, the same for the same number of rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import orjson

from vertexq.keys import wire_key

_WORDS = [f"word{number}" for number in range(500)]
_BLOCK_ROWS = 1000


def write(path: Path, rows: int, *, distinct: bool = False) -> Path:
    """Write ``rows`` output lines, unless the file is there already; return the path."""
    if not path.exists():
        with path.open("wb") as file:
            file.writelines(blocks(rows, distinct=distinct))
    return path


def blocks(rows: int, *, distinct: bool = False) -> Iterator[bytes]:
    """Yield the lines of ``rows`` rows, a thousand at a time.

    A thousand texts come again and again, unless they are to be ``distinct``: for what packs them.
    """
    rng = Random(1)
    texts = _texts(rng)
    for start in range(0, rows, _BLOCK_ROWS):
        texts = _texts(rng) if distinct else texts
        yield b"".join(_line(index, texts) for index in range(start, min(start + _BLOCK_ROWS, rows)))


def _texts(rng: Random) -> list[str]:
    return [" ".join(rng.choices(_WORDS, k=80)) for _ in range(_BLOCK_ROWS)]


def _line(index: int, texts: list[str]) -> bytes:
    asked, said = texts[index % _BLOCK_ROWS], texts[(index * 7 + 3) % _BLOCK_ROWS]
    line = {
        "key": wire_key(index, f"k{index}"),
        "processed_time": "2025-09-19T21:29:47.352+00:00",
        "request": {
            "contents": [{"parts": [{"fileData": None, "text": asked}], "role": "user"}],
            "generationConfig": {"maxOutputTokens": 200, "temperature": 0.2},
        },
        "status": "",
        "response": {
            "candidates": [
                {
                    "avgLogprobs": -0.48,
                    "content": {"parts": [{"text": said}], "role": "model"},
                    "finishReason": "STOP",
                }
            ],
            "createTime": "2025-09-19T21:29:47.484619Z",
            "modelVersion": "gemini-2.5-flash-lite",
            "responseId": "S8vNaIvKHdvshMIP_aOtuAg",
            "usageMetadata": {
                "candidatesTokenCount": 80,
                "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 80}],
                "promptTokenCount": 85,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 85}],
                "totalTokenCount": 165,
                "trafficType": "ON_DEMAND",
            },
        },
    }
    return orjson.dumps(line) + b"\n"
