"""Text from outside made fit for a terminal, and numbers made fit for people. No I/O."""

from __future__ import annotations

import re

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400

# Control characters, lone surrogates, line separators, and the marks that reorder what a person reads.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNFIT_BUT_NEWLINE = re.compile(_UNFIT.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))


def one_line(text: str) -> str:
    r"""Return ``text`` on one line, with everything a terminal might obey written as an escape (``\x1b``)."""
    return _UNFIT.sub(_escaped, text)


def lines(text: str) -> str:
    """Return ``text`` as ``one_line`` does, but with its newlines kept."""
    return _UNFIT_BUT_NEWLINE.sub(_escaped, text)


def shortened(text: str, *, limit: int) -> str:
    """Return at most ``limit`` characters of ``text``; the last is ``…`` when something was cut off."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``8 s``, ``3 min``, ``2 h 10 min``, ``3 d 4 h``."""
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < 2 * _DAY_S:
        hours, rest_s = divmod(round(seconds), _HOUR_S)
        return f"{hours} h {rest_s // _MINUTE_S} min"
    days, rest_s = divmod(round(seconds), _DAY_S)
    return f"{days} d {rest_s // _HOUR_S} h"


def money(usd: float) -> str:
    """Return an amount in US dollars: two decimals, or six below one dollar."""
    return f"{usd:,.2f} USD" if usd >= 1 or usd == 0 else f"{usd:.6f} USD"


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
