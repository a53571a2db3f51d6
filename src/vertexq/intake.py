"""What a producer passes in, one row after the other, into rows that can be staged. No I/O.

Fed with lines or values. Every row is checked against all rules, so that one pass finds every fault; what
only the whole source shows (equal keys, one path with two types) is in the verdict at its end.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson

from vertexq.check.answered import ANSWERED, is_old_output
from vertexq.check.faults import Fault, Flaw, Rule, fault_of
from vertexq.check.frames import Fit, LineFrame, LineFrames
from vertexq.check.lines import QuickLines
from vertexq.check.report import SHOWN_FAULTS, Report, Tally
from vertexq.check.rows import Checked, Requests, not_finite, split
from vertexq.check.shapes import WITNESSES, Groups
from vertexq.check.strict import Unfit, loads
from vertexq.check.verdict import NAMELESS, Prepared, Verdict, aside, is_bad
from vertexq.errors import BadSource
from vertexq.families.base import Family, NoRequest
from vertexq.keys import KEY_LIMIT_BYTES
from vertexq.lines import Block, Oversized
from vertexq.model import Estimate, Policy
from vertexq.uniqueness import KeyLog

__all__ = ["SHOWN_FAULTS", "Intake", "Prepared", "Verdict"]

Template = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_FLAWS_MOST = 5  # of one row
_NO_POLICY = Policy()
_JSON_ARRAY = Flaw(
    Rule.JSON_ARRAY, "", "this is a JSON array, not JSON Lines", "write one object a line (jq -c '.[]')"
)
_UNMADE = (b"", b"")
_RUN_LINES = 256  # looked at together; where frames take turns, few of them are looked at twice
_row = cast("Callable[[type[Prepared], tuple[object, ...]], Prepared]", getattr(tuple, "__new__"))  # noqa: B009
"""Makes a ``Prepared`` at half the cost of calling the class; by name, as its type is not fully known."""
_SHORTER = "make it shorter, or raise VERTEXQ_LINE_LIMIT_BYTES"
_NOT_OBJECT = Flaw(Rule.NOT_OBJECT, "", "a line must be a JSON object", "write one JSON object a line")


class _Bad(ValueError):
    """A row that cannot be sent, with all its flaws; its key, when it has one that can be used."""

    def __init__(self, *flaws: Flaw, key: str | None = None) -> None:
        super().__init__()
        self.flaws = flaws
        self.key = key


class Intake:
    """Checks the rows of one source. ``name`` is what errors call the source.

    A ``template`` turns each record into a row first; ``parameters`` and ``model`` are the submission's. With
    ``policy.set_aside`` a bad row comes out with its reason, otherwise it does not come out at all.
    With ``only_check`` the rows come without fingerprint and request, which saves making them. Without
    ``quick`` every row goes the plain way: the same comes out, far slower.
    """

    def __init__(
        self,
        family: Family,
        *,
        name: str,
        key_field: str = "key",
        policy: Policy = _NO_POLICY,
        template: Template | None = None,
        only_check: bool = False,
        quick: bool = True,
        parameters: Mapping[str, Any] | None = None,
        model: str = "",
    ) -> None:
        self.family = family
        self._request = family.request_for(parameters or {}, model)
        self._remembers = quick
        quick = quick and template is None and not (parameters and family.requesting)
        self.name = name
        self.key_field = key_field
        self.policy = policy
        self.template = template
        self._takes_answered = policy.resume or (template is not None and not policy.as_is)
        self._tally = Tally()
        self._only_check = only_check
        self._requests = Requests(family.check, repair=policy.repair)
        self._quick = QuickLines(self._requests, key_field=key_field) if quick else None
        self.frames = LineFrames(self._quick, key_field=key_field) if self._quick is not None else None
        self._groups = Groups()
        self._weights: list[list[int]] = []  # of each group: rows, input, output tokens, rows without a limit
        self._duplicates = array("Q")
        self._duplicate_faults: list[Fault] = []
        self._repeated: Counter[int] = Counter()  # of them, those without another fault, by group
        self._bad_repeated = 0
        self._lines = 0
        self._number = 0  # of rows that are not blank
        self._aside = 0
        self._nameless = False
        self._mark = "~"

    @property
    def fault_count(self) -> int:
        """Return how many rows had a fault so far."""
        return self._tally.faulty

    def block(self, item: Block | Oversized) -> list[Prepared]:
        """Take the lines of a JSON Lines source; blank lines are passed over."""
        if isinstance(item, Oversized):
            self._lines += 1
            text = f"the line has {item.size_bytes:,} bytes, more than the limit"
            row = self._taken(self._refuse, Flaw(Rule.LINE_SIZE, "", text, _SHORTER))
            return [row] if row is not None else []
        lines = item.lines
        if lines and lines[0].endswith(b"\r"):
            lines = [line.removesuffix(b"\r") for line in lines]
        rows: list[Prepared] = []
        at = 0
        while at < len(lines):
            found = self.frames.fit(lines[at : at + _RUN_LINES]) if self.frames is not None else None
            if found is not None:
                rows += self._of_frame(*found)
                at += len(found[1])
                continue
            if (row := self._line(lines[at])) is not None:
                rows.append(row)
            at += 1
        return rows

    @property
    def rows(self) -> int:
        """Return how many rows came out so far, set aside or not."""
        return self._number if self.policy.set_aside else self._number - self._tally.faulty

    @property
    def lines(self) -> int:
        """Return how many lines, or rows that are values, were taken so far."""
        return self._lines

    def row(self, value: object, *, line: int | None = None) -> Prepared | None:
        """Take one row as a value: a text or an object; None when it has a fault and is not set aside.

        ``line`` says where it comes from when that is not the next line, as a record may take several.
        """
        self._lines = self._lines + 1 if line is None else line
        return self._taken(self._of_value, value)

    def note_duplicates(self, keys: KeyLog) -> None:
        """Note the rows whose key was there before; they do not run, so that they weigh nothing."""
        self._count_frames()
        for one in keys.duplicates():
            self.duplicate(one.line, one.earlier)
            if is_bad(one):
                self._bad_repeated += 1
            else:
                self._weigh(one.group, -1, -one.input_tokens, -one.output_tokens)
                self._repeated[one.group] += 1
        self._duplicates = array("Q", sorted(self._duplicates))
        self._mark = keys.mark

    def duplicate(self, line: int, earlier: int) -> None:
        """Note that the row of ``line`` has the key of an ``earlier`` one."""
        self._duplicates.append(line)
        text, mend = f"the same key as line {earlier}; every row needs its own", "rename one of them"
        if len(self._duplicate_faults) < SHOWN_FAULTS:
            fault = Fault(line=line, rule=Rule.DUPLICATE_KEY, text=text, mend=mend)
            self._duplicate_faults.append(fault)

    def verdict(self) -> Verdict:
        """Return what the rows so far show together."""
        self._count_frames()
        groups, policy = self._groups, self.policy
        split_up = len(groups.all) > 1 and not policy.split_conflicts
        outside = sum(group.rows for group in groups.all) - groups.all[groups.largest].rows if split_up else 0
        return Verdict(
            report=self._report(outside),
            estimate=self._estimate(groups.largest if split_up else None),
            only_group=groups.largest if split_up else None,
            conflicts=tuple(self._conflict_reasons()) if split_up else (),
            duplicates=self._duplicates,
            nameless=self._nameless,
            mark=self._mark,
        )

    def close(self) -> Verdict:
        """Return the verdict; raise ``BadSource`` when a row cannot be sent, or there is none to send."""
        verdict = self.verdict()
        report = verdict.report
        if report.faulty and not self.policy.set_aside:
            head = f"{report.faulty:,} of {report.rows:,} rows cannot be enqueued; nothing was sent."
            raise BadSource("\n  ".join([f"{self.name}: {head}", *report.lines()]))
        if not report.rows:
            raise BadSource(f"{self.name} holds no rows; nothing was sent. Pass at least one request.")
        if report.aside >= report.rows:
            head = f"none of {report.rows:,} rows can be sent, so there is nothing to run; nothing was sent."
            raise BadSource("\n  ".join([f"{self.name}: {head}", *report.lines()]))
        return verdict

    def _of_frame(self, frame: LineFrame, found: list[Fit]) -> list[Prepared]:
        for line in range(self._lines + 1, self._lines + 1 + min(len(found), WITNESSES - frame.rows)):
            self._groups.count(frame.group, frame.checked.signature, line)
        frame.rows += len(found)
        frame.input_tokens += sum([tokens for _, _, tokens in found])
        made = [_UNMADE] * len(found) if self._only_check else frame.requests(found)
        line, number, group, most = self._lines, self._number, frame.group, frame.checked.output_tokens
        self._lines += len(found)
        self._number += len(found)
        return [
            _row(
                Prepared,
                (str(number + at - 1) if key is None else key, *two, line + at, group, tokens, most, ""),
            )
            for at, ((key, _, tokens), two) in enumerate(zip(found, made, strict=True), start=1)
        ]

    def _count_frames(self) -> None:
        """Add up what was counted in frames."""
        if self.frames is None:
            return
        for frame in (*self.frames.frames, *self.frames.dropped):
            if frame.rows:
                self._count_frame(frame)
        self.frames.dropped.clear()

    def _count_frame(self, frame: LineFrame) -> None:
        rows, checked = frame.rows, frame.checked
        self._groups.all[frame.group].rows += max(rows - WITNESSES, 0)
        self._weigh(frame.group, rows, frame.input_tokens, rows * checked.output_tokens)
        for repair in checked.repairs:
            self._tally.repairs[repair] += rows
        frame.rows = frame.input_tokens = 0

    def _line(self, line: bytes) -> Prepared | None:
        self._lines += 1
        if not line or line == b"\r":
            return None
        return self._taken(self._of_line, line)

    def _taken(self, prepare: Callable[[Any], Prepared], what: Any) -> Prepared | None:
        """Prepare a row; when it cannot be, note its faults and set it aside if that is the policy."""
        row: Prepared | None
        try:
            row = prepare(what)
        except _Bad as bad:
            faults = [fault_of(flaw, self._lines) for flaw in bad.flaws[:_FLAWS_MOST]]
            self._tally.row(faults)
            row = self._set_aside(faults, bad.key) if self.policy.set_aside else None
        self._number += 1
        return row

    def _set_aside(self, faults: list[Fault], key: str | None) -> Prepared:
        self._aside += 1
        first = faults[0]
        where = f" at {first.path}" if first.path else ""
        reason = f"{first.rule}{where}: {first.text}"
        self._nameless = self._nameless or key is None
        return aside(f"{NAMELESS}{self._number}" if key is None else key, self._lines, reason)

    def _refuse(self, flaw: Flaw) -> Prepared:
        raise _Bad(flaw)

    def _of_line(self, line: bytes) -> Prepared:
        if line.endswith(b"\r"):
            line = line[:-1]
        if self._quick is not None and (found := self._quick.read(line)):
            row = self._placed(self._key_of(found[0]), found[1])
            if self.frames is not None:
                self.frames.learn(line, found[0], group=row.group)
            return row
        if self._number == 0 and line.lstrip().startswith(b"["):
            raise _Bad(_JSON_ARRAY)
        try:
            value = loads(line)
        except Unfit as error:
            raise _Bad(error.flaw) from None
        if not isinstance(value, dict):
            raise _Bad(_NOT_OBJECT)
        return self._of_value(cast("dict[str, Any]", value))

    def _of_value(self, value: object) -> Prepared:
        if not isinstance(value, str | Mapping):
            text = f"a row is a text or a mapping, this is {type(value).__name__}"
            raise _Bad(Flaw(Rule.REQUEST, "", text, "pass a prompt or an object with a request"))
        record = cast("str | Mapping[str, Any]", value)
        key = self._key(None if isinstance(record, str) else record.get(self.key_field))
        if not self._takes_answered and is_old_output(record):
            raise _Bad(ANSWERED, key=key)
        try:
            if self.template is not None:
                record = self.template({"prompt": record} if isinstance(record, str) else record)
            checked = self._checked(self._request(record))
        except (NoRequest, TypeError, ValueError, RecursionError) as error:
            raise _Bad(
                Flaw(Rule.REQUEST, "", str(error), "see producing.md for the forms of a row"), key=key
            ) from None
        return self._placed(key, checked)

    def _checked(self, request: Mapping[str, Any]) -> Checked:
        text = orjson.dumps(request)
        if b"null" in text and (flaw := next(not_finite(request), None)):
            return Checked(b"", b"", (), (flaw,), (), 0, 0, 0)
        fields = split(text)
        if self._remembers:
            return self._requests.check(fields)
        return self._requests.check_plainly({name: bytes(field) for name, field in fields.items()})

    def _placed(self, key: str, checked: Checked) -> Prepared:
        if checked.flaws:
            raise _Bad(*checked.flaws, key=key)
        group = self._groups.place(checked.signature, self._lines)
        if isinstance(group, Flaw):
            raise _Bad(group, key=key)
        self._tally.repairs.update(checked.repairs)
        self._weigh(group, 1, checked.input_tokens, checked.output_tokens)
        if self._only_check:
            return Prepared(key, b"", b"", self._lines, group, checked.input_tokens, checked.output_tokens)
        return Prepared(
            key, checked.fingerprint, checked.request, self._lines,
            group, checked.input_tokens, checked.output_tokens,
        )  # fmt: skip

    def _weigh(self, group: int, rows: int, input_tokens: int, output_tokens: int) -> None:
        while group >= len(self._weights):
            self._weights.append([0, 0, 0, 0])
        weights = self._weights[group]
        weights[0] += rows
        weights[1] += input_tokens
        weights[2] += output_tokens
        weights[3] += 0 if output_tokens else rows

    def _key_of(self, written: bytes) -> str:
        """Return a row's key, given as JSON."""
        if written[:1] == b'"' and b"\\" not in written:
            return self._key(written[1:-1].decode())
        return self._key(orjson.loads(written) if written else None)

    def _key(self, key: object) -> str:
        if key is None:
            return str(self._number)
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise _Bad(self._bad_key("must be a text or an integer"))
        text = str(key)
        if (
            not 0 < len(text) <= KEY_LIMIT_BYTES
            or not text.isprintable()
            or len(text.encode()) > KEY_LIMIT_BYTES
        ):
            raise _Bad(self._bad_key(f"must have 1 to {KEY_LIMIT_BYTES} bytes, all of them printable"))
        return text

    def _bad_key(self, text: str) -> Flaw:
        return Flaw(Rule.KEY, "", f"the key in {self.key_field!r} {text}", "give the row another key")

    def _report(self, outside: int) -> Report:
        tally, rules = self._tally, dict(self._tally.rules)
        late: list[Fault] = []
        if outside:
            rules[Rule.CONFLICT] = outside
            late += [fault_of(flaw, line) for line, flaw in self._groups.outsiders()]
        if self._duplicates:
            rules[Rule.DUPLICATE_KEY] = len(self._duplicates)
            late += self._duplicate_faults
        condemned = outside + len(self._duplicates) - self._bad_repeated
        if outside:  # of these, repetitions were counted already
            condemned -= self._repeated.total() - self._repeated[self._groups.largest]
        return Report(
            rows=self._number,
            faulty=tally.faulty + condemned,
            faults=tuple(sorted([*tally.faults, *late], key=lambda fault: fault.line)[:SHOWN_FAULTS]),
            rules=rules,
            repairs=dict(tally.repairs),
            groups=tuple(group.rows for group in self._groups.all),
            aside=self._aside + condemned if self.policy.set_aside else 0,
        )

    def _estimate(self, only: int | None) -> Estimate:
        chosen = self._weights if only is None else self._weights[only : only + 1]
        rows, inputs, outputs, assumed = (
            (sum(column) for column in zip(*chosen, strict=True)) if chosen else (0,) * 4
        )
        assumed = assumed if self.family.writes_text else 0
        return Estimate(rows=rows, input_tokens=inputs, output_tokens=outputs, assumed_rows=assumed)

    def _conflict_reasons(self) -> list[str]:
        """Return, for each group, why its rows cannot run with the largest one's."""
        return self._groups.reasons()
