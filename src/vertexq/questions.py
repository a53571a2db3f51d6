"""One row answered at once: asked in any form that a submission takes, answered as a result is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vertexq import ranks
from vertexq.errors import BadInput, Unavailable
from vertexq.families import Family, family_taking
from vertexq.families.online import OnlineWay, Verb
from vertexq.families.own_models import OwnName
from vertexq.google.endpoints import Endpoints
from vertexq.google.online import Online, online_name
from vertexq.google.rest import Transport
from vertexq.intake import Intake
from vertexq.lines import Block
from vertexq.prices import PriceBook
from vertexq.results import Result, Row
from vertexq.rows import ReadContext, Reading, RowReader
from vertexq.steps.online_calls import Target, answered
from vertexq.stores.columns import result_of

KEY = "0"
"""The key of the one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A row for a model: a publisher's, or what an endpoint (its full name) serves.

    ``verbs`` are Google's methods that the caller means; a model of another kind is a ``BadInput``.
    """

    model: str
    row: str | Mapping[str, Any]
    verbs: frozenset[Verb]
    project: str
    location: str
    family: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def ask(
    transport: Transport, question: Question, *, endpoint: str, deadline_s: float, prices: PriceBook
) -> Result:
    """Return the answer, at the online price; one that Google refuses for what it asks has failed.

    ``endpoint`` is a base URL for all locations (an emulator). Raise ``BadInput`` for a row or a model that
    cannot be asked: nothing is sent then. Raise ``Refused`` when nobody may call, ``Unreachable`` when
    nothing was sent, ``Unavailable`` when what came cannot be read.
    """
    family = family_taking(question.model, question.family, question.parameters)
    way = _way(family, question)
    line = _line(family, question)
    target = await _target(transport, question, way, endpoint=endpoint, deadline_s=deadline_s)
    (outcome,) = await answered(target, {0: line}, last=True, some_were=False)
    if outcome.error is not None:
        raise outcome.error
    price = prices.price_of(question.model, datetime.now(UTC).date(), online=True)
    context = ReadContext(
        submission_id="", batch_id="", attempt=1, rows=1, source_object="online", source_generation=0,
        price=price, parameters=question.parameters,
    )  # fmt: skip
    return result_of(_read(family, context, outcome.line, question.model))


def _way(family: Family, question: Question) -> OnlineWay:
    if family.online is not None and family.online.verb in question.verbs:
        return family.online
    asked = " or ".join(sorted(question.verbs))
    raise BadInput(f"{question.model[:200]!r} ({family.name}) does not answer {asked}; nothing was sent")


def _line(family: Family, question: Question) -> bytes:
    """Return the row as it would be staged; raise ``BadSource`` with what is wrong with it."""
    intake = Intake(family, name="the row", parameters=question.parameters, model=question.model)
    row = intake.row(question.row)
    intake.close()
    return family.wire.line(0, KEY, row.request if row else b"{}")


async def _target(
    transport: Transport, question: Question, way: OnlineWay, *, endpoint: str, deadline_s: float
) -> Target:
    name, host = question.model, ""
    own = OwnName.parse(name)
    if own is None:
        name = online_name(question.project, question.location, name)
    elif own.is_endpoint:
        host = (await Endpoints(transport, endpoint=endpoint).get(name)).dedicated_dns
    else:
        raise BadInput(
            f"a model of your own answers through an endpoint: name the one that {name} is deployed to "
            "(projects/P/locations/L/endpoints/E); nothing was sent"
        )
    return Target(
        online=Online(transport, endpoint=endpoint), way=way, name=name,
        parameters=way.parameters(question.parameters), at_once=1, deadline_s=deadline_s, dedicated_dns=host,
    )  # fmt: skip


def _read(family: Family, context: ReadContext, line: bytes, model: str) -> Row:
    reader = RowReader(context, family.reading(context), ranks.empty(1), lambda _line: (0, KEY))
    found = Reading()
    reader.read(Block(0, [line.rstrip(b"\n")]), found)
    if not found.rows:
        raise Unavailable(f"what {model} answered cannot be read: {found.quarantined[0].reason}")
    return found.rows[0]
