"""How a family's rows are answered online: a staged line becomes a call, its answer a line of output. No I/O.

The line is what a job would have written, so that it is read like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

Fields = Mapping[str, Any]


class Verb(StrEnum):
    """Google's methods, each with a form of request and answer of its own."""

    GENERATE = "generateContent"
    EMBED = "embedContent"
    PREDICT = "predict"


def _request(line: Fields) -> Fields:
    request: Fields = line["request"]
    return request


def _answered(line: Fields, body: Fields, at: str) -> Fields:
    return {**line, "status": "", "processed_time": at, "response": body}


def _failed(line: Fields, status: str, at: str) -> Fields:
    return {**line, "status": status, "processed_time": at, "response": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineWay:
    """How rows of a family are answered online.

    ``request`` takes what is sent out of a staged line (of ``predict``: the one instance), ``parameters``
    what goes beside an instance out of a submission's parameters. ``answered`` makes the line of output from
    the staged line, Google's answer and the time, ``failed`` from a status text. With ``by_endpoint`` a model
    is asked through an endpoint that it is deployed to.
    """

    verb: Verb = Verb.GENERATE
    request: Callable[[Fields], Fields] = _request
    parameters: Callable[[Fields], Fields] = lambda _parameters: {}
    answered: Callable[[Fields, Fields, str], Fields] = _answered
    failed: Callable[[Fields, str, str], Fields] = _failed
    by_endpoint: bool = False


def status_text(code: int, word: str, message: str) -> str:
    """Return the status of a row that failed, in the form in which jobs write it."""
    error = {"code": code, "message": message, "status": word}
    return f"Online call failed: {orjson.dumps({'error': error}).decode()}"
