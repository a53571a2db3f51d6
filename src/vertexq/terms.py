"""Terms as people write them: ``6h``, 5.00 USD, priority 3; and what of it makes no sense. No I/O."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal

from vertexq.errors import BadInput
from vertexq.model import OnDeadline, Terms
from vertexq.money import MOST_USD, parse_budget

PRIORITIES = range(-9, 10)
DEADLINE_LIMIT_S = 366 * 86_400.0

FINISH_ONLINE_LIMIT = 10_000
"""More rows are a job: one by one they cost twice as much (Google's pricing page, batch at half price)."""

Deadline = timedelta | float | str
"""A span of time: seconds, or a text such as ``6h``, ``90m``, ``1d12h``."""

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = re.compile(r"(?:(\d+(?:\.\d+)?)([dhms]))+")
_PIECE = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def terms_of(
    *,
    priority: int = 0,
    budget_usd: float | Decimal | str | None = None,
    deadline: Deadline | None = None,
    on_deadline: str = OnDeadline.REPORT.value,
    finish_online: int = 0,
) -> Terms:
    """Return the terms that a producer asks for; raise ``BadInput`` for what makes no sense."""
    return checked_terms(
        Terms(
            priority=priority,
            budget_pusd=None if budget_usd is None else parse_budget(budget_usd),
            deadline_s=None if deadline is None else span_s(deadline),
            on_deadline=_on_deadline(on_deadline),
            finish_online=finish_online,
        )
    )


def checked_terms(terms: Terms) -> Terms:
    """Return the terms; raise ``BadInput`` when a value is out of bounds or two do not fit together."""
    if type(terms.priority) is not int or terms.priority not in PRIORITIES:
        raise BadInput(f"a priority is a whole number from -9 to 9, not {str(terms.priority)[:20]!r}")
    if terms.budget_pusd is not None and not 0 < terms.budget_pusd <= MOST_USD * 10**12:
        raise BadInput(f"a budget is a positive number of US dollars, at most {MOST_USD:,}")
    if terms.deadline_s is not None and not 0 < terms.deadline_s <= DEADLINE_LIMIT_S:
        raise BadInput("a deadline must lie in the future, and within a year: 6h, 90m, 2d")
    if terms.on_deadline is OnDeadline.RERUN and terms.deadline_s is None:
        raise BadInput("on_deadline=rerun needs a deadline; say when with deadline=, such as 6h")
    if type(terms.finish_online) is not int or not 0 <= terms.finish_online <= FINISH_ONLINE_LIMIT:
        raise BadInput(f"finish_online is a number of rows, from 0 (never) to {FINISH_ONLINE_LIMIT:,}")
    return terms


def span_s(said: Deadline) -> float:
    """Return a span of time in seconds; raise ``BadInput`` for what is none."""
    if isinstance(said, timedelta):
        return said.total_seconds()
    if isinstance(said, str):
        return _read(said.strip())
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadInput(f"a deadline is a span of time such as 6h or a number of seconds, not {said!r}")
    return float(said)


def _read(text: str) -> float:
    if not _SPAN.fullmatch(text):
        raise BadInput(f"{text[:40]!r} is no span of time; write 6h, 90m, 45s, 2d or 1d12h")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PIECE.findall(text))


def _on_deadline(said: str) -> OnDeadline:
    try:
        return OnDeadline(said)
    except ValueError:
        words = ", ".join(OnDeadline)
        raise BadInput(f"on_deadline is one of {words}, not {str(said)[:40]!r}") from None
