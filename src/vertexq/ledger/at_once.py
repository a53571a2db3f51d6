"""Enqueue in one round trip: PostgreSQL writes a submission and its first audit line in one statement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Interval, Select, bindparam, func, insert, literal, select
from sqlalchemy.dialects import postgresql

from vertexq.ledger.convert import new_submission_row
from vertexq.ledger.schema import audit, submissions
from vertexq.ledger.values import Record
from vertexq.model import NewSubmission

_BY_ITS_CLOCK = ("created_at", "updated_at", "next_action_at")
_LATER = "deadline_at"
_NO_TIME = datetime.fromtimestamp(0, tz=UTC)  # the database's clock is asked, not this one


def at_once(new: NewSubmission, actor: str) -> tuple[Select[Any], dict[str, Any]]:
    """Return the statement and its values; its result is the new row, or nothing when the id is taken.

    It is a transaction of its own, so that ``now()`` is the database's clock at this very moment. The
    statement is built once: building it takes longer than running it.
    """
    row = new_submission_row(new, _NO_TIME)
    plain = tuple(sorted(row.keys() - {*_BY_ITS_CLOCK, _LATER}))
    span_s = new.terms.deadline_s
    values = {f"new_{name}": row[name] for name in plain}
    values["new_span"] = None if span_s is None else timedelta(seconds=span_s)
    return _statement(plain, actor), values


@cache
def _statement(plain: tuple[str, ...], actor: str) -> Select[Any]:
    now = func.now()
    given: dict[str, Any] = {name: bindparam(f"new_{name}", type_=submissions.c[name].type) for name in plain}
    given |= dict.fromkeys(_BY_ITS_CLOCK, now)
    given[_LATER] = now + bindparam("new_span", type_=Interval())
    statement = postgresql.insert(submissions).values(given).on_conflict_do_nothing()
    made = statement.returning(*submissions.c).cte("made")
    line: dict[str, Any] = {
        "record": literal(Record.SUBMISSION.value),
        "record_id": made.c.id,
        "at": now,
        "from_state": literal(""),
        "to_state": made.c.state,
        "version": made.c.version,
        "actor": literal(actor),
        "reason": made.c.reason,
    }
    noted = insert(audit).from_select(list(line), select(*line.values())).cte("noted")
    return select(made).add_cte(noted)
