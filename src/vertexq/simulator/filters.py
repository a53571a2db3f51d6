"""Google's list filter for batch prediction jobs, read into a predicate. No I/O.

The grammar is that of ``batchPredictionJobs.list`` in the aiplatform v1 discovery document (revision
20261106): ``display_name``, ``model_display_name``, ``state``, ``create_time``, ``labels.key`` with ``AND``,
``OR``, ``NOT`` and brackets; values and label keys may be quoted. As in AIP-160, OR binds closer than AND.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from vertexq.errors import Refused

Predicate = Callable[["Facts"], bool]
Compared = Callable[[str, str, str], Predicate | None]

_TOKEN = re.compile(
    r'\s*(?:(?P<op><=|>=|!=|[=<>:()])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"=<>!:()]+))'
)
_TIME_TAIL = re.compile(r"[^\s()\"]*")
_COMPARE = frozenset({"=", "!=", "<", "<=", ">", ">=", ":"})
_JOINS = frozenset({"AND", "OR"})
_ORDER: dict[str, Callable[[datetime, datetime], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What of a job can be asked for."""

    display_name: str
    model_display_name: str
    state: str
    create_time: datetime
    labels: Mapping[str, str]
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    kind: str  # "op", "quoted" or "bare"

    def word(self, text: str) -> bool:
        return self.kind != "quoted" and self.text == text


def job_filter(text: str) -> Predicate:
    """Return the predicate that ``text`` says; an empty one takes every job. Raise ``Refused`` (400)."""
    return _read(_Reader(text, _compared))


def endpoint_filter(text: str) -> Predicate:
    """Return the predicate of a filter of ``endpoints.list``: ``endpoint``, ``display_name``, ``labels``."""
    return _read(_Reader(text, _endpoint_compared))


def _read(reader: _Reader) -> Predicate:
    if reader.peek() is None:
        return lambda _: True
    found = reader.conjunction()
    if reader.peek() is not None:
        raise reader.refused()
    return found


class _Reader:
    """Reads a filter from left to right."""

    def __init__(self, text: str, compared: Compared) -> None:
        self._text = text
        self._compared = compared
        self._tokens = list(self._cut(text))
        self._at = 0

    def refused(self) -> Refused:
        return Refused(
            f"List filter could not be parsed: {self._text!r}.", status=400, code="INVALID_ARGUMENT"
        )

    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def conjunction(self) -> Predicate:
        """Read terms joined by AND (written or left out)."""
        terms = [self._disjunction()]
        while (token := self.peek()) is not None and not token.word(")"):
            if token.word("AND"):
                self._at += 1
            terms.append(self._disjunction())
        return lambda facts: all(term(facts) for term in terms)

    def _disjunction(self) -> Predicate:
        terms = [self._term()]
        while (token := self.peek()) is not None and token.word("OR"):
            self._at += 1
            terms.append(self._term())
        return lambda facts: any(term(facts) for term in terms)

    def _term(self) -> Predicate:
        token = self._next()
        if token.word("NOT"):
            inner = self._term()
            return lambda facts: not inner(facts)
        if token.word("("):
            inside = self.conjunction()
            if not self._next().word(")"):
                raise self.refused()
            return inside
        if token.kind != "bare" or token.text in _JOINS:
            raise self.refused()
        return self._comparison(token)

    def _comparison(self, field: _Token) -> Predicate:
        name = field.text
        if name == "labels.":  # labels."a key"
            name += self._next().text
        sign = self._next()
        if sign.kind != "op" or sign.text not in _COMPARE:
            raise self.refused()
        value = self._next()
        if value.kind == "op":
            raise self.refused()
        found = self._compared(name, sign.text, value.text)
        if found is None:
            raise self.refused()
        return found

    def _next(self) -> _Token:
        token = self.peek()
        if token is None:
            raise self.refused()
        self._at += 1
        return token

    def _cut(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise self.refused()
            token = _Token(found[found.lastgroup], found.lastgroup)
            at = found.end()
            if token.kind == "bare" and _is_value_of_time(tokens):  # a bare time has colons in it
                tail = _TIME_TAIL.match(text, at)
                token = _Token(token.text + (tail[0] if tail else ""), "bare")
                at += len(tail[0]) if tail else 0
            if token.kind == "quoted":
                token = _Token(re.sub(r"\\(.)", r"\1", token.text), "quoted")
            tokens.append(token)
        return tokens


def _is_value_of_time(tokens: list[_Token]) -> bool:
    return len(tokens) > 1 and tokens[-2].text in {"create_time", "createTime"} and tokens[-1].kind == "op"


def _compared(name: str, sign: str, value: str) -> Predicate | None:
    """Return the predicate of one comparison; None when the field cannot be compared so."""
    match name:
        case "display_name" | "displayName" if sign in {"=", "!=", ":"}:
            return _text(lambda facts: facts.display_name, sign, value)
        case "model_display_name" | "modelDisplayName" if sign in {"=", "!="}:
            return _text(lambda facts: facts.model_display_name, sign, value)
        case "state" if sign in {"=", "!="}:
            return _text(lambda facts: facts.state, sign, value)
        case "create_time" | "createTime" if sign != ":":
            return _time(sign, value)
        case _ if name.startswith("labels.") and sign in {"=", "!=", ":"}:
            return _label(name.removeprefix("labels."), sign, value)
        case _:
            return None


def _endpoint_compared(name: str, sign: str, value: str) -> Predicate | None:
    if name == "endpoint" and sign in {"=", "!="}:
        return _text(lambda facts: facts.endpoint, sign, value)
    named = name in {"display_name", "displayName"} and sign in {"=", "!="}
    return _compared(name, sign, value) if named or name.startswith("labels.") else None


def _text(read: Callable[[Facts], str], sign: str, value: str) -> Predicate:
    match sign:
        case "=":
            return lambda facts: read(facts) == value
        case "!=":
            return lambda facts: read(facts) != value
        case _:
            pattern = value if "*" in value else f"*{value}*"
            literal = re.sub(r"([\[?])", r"[\1]", pattern)  # only the star is special
            return lambda facts: fnmatchcase(read(facts), literal)


def _label(key: str, sign: str, value: str) -> Predicate:
    match sign:
        case "=":
            return lambda facts: facts.labels.get(key) == value
        case "!=":
            return lambda facts: facts.labels.get(key) != value
        case _:
            return lambda facts: key in facts.labels and value in {"*", facts.labels[key]}


def _time(sign: str, value: str) -> Predicate | None:
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    compare = _ORDER[sign]
    return lambda facts: compare(facts.create_time, when)
