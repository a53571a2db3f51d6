"""Predictions of endpoints: images as instances, and what comes back."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from vertexq.errors import BadInput

REQUEST_LIMIT_BYTES = 1_500_000
"""The longest body of a prediction (1.5 MB; Vertex AI's page on quotas)."""
_AROUND_BYTES = 100  # of a request around one image: names, brackets, parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What an endpoint answered: one object for each instance, and which model it was."""

    predictions: Sequence[Mapping[str, object]]
    deployed_model_id: str = ""
    model: str = ""


def image(source: str | Path | bytes) -> dict[str, object]:
    """Return an image as an instance of a prediction: a file's path, or its bytes.

    Raise ``BadInput`` for one that cannot be read, or whose request would be longer than Google takes.
    """
    what = "the image" if isinstance(source, bytes) else f"the image {source}"
    try:
        data, size_bytes = (source, len(source)) if isinstance(source, bytes) else _read(Path(source))
    except OSError as error:
        raise BadInput(f"{what} cannot be read: {error.strerror}") from error
    in_request_bytes = 4 * math.ceil(size_bytes / 3) + _AROUND_BYTES
    if not data:
        raise BadInput(f"{what} is empty")
    if in_request_bytes > REQUEST_LIMIT_BYTES:
        raise BadInput(
            f"{what} has {size_bytes:,} bytes, which are {in_request_bytes:,} in a request (base64), and "
            f"Google takes {REQUEST_LIMIT_BYTES:,}: nothing was sent; make it smaller"
        )
    return {"content": base64.b64encode(data).decode()}


def _read(file: Path) -> tuple[bytes, int]:
    """Return as much of a file as a request could hold, and how many bytes it has; a device has no end."""
    with file.open("rb") as stream:
        data = stream.read(REQUEST_LIMIT_BYTES)
        return data, max(len(data), os.fstat(stream.fileno()).st_size)


def labels_of(prediction: Mapping[str, object]) -> list[dict[str, object]]:
    """Return an image's labels, the likeliest first, as rows of batch jobs have them in ``parsed``.

    Each is ``{"id", "label", "confidence"}`` with the id as text; empty when the lists do not fit together.
    """
    lists = [prediction.get(name) for name in ("ids", "displayNames", "confidences")]
    ids, names, shares = (cast("list[object]", one) if isinstance(one, list) else [] for one in lists)
    if not len(ids) == len(names) == len(shares):
        return []
    return [
        {"id": str(one), "label": name, "confidence": share}
        for one, name, share in zip(ids, names, shares, strict=True)
    ]


def prediction_from(said: Mapping[str, object]) -> Prediction:
    """Read a ``PredictResponse``."""
    answers = said.get("predictions")
    return Prediction(
        predictions=cast("list[Mapping[str, object]]", answers if isinstance(answers, list) else []),
        deployed_model_id=str(said.get("deployedModelId") or ""),
        model=str(said.get("model") or ""),
    )
