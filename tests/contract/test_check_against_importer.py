"""What the check lets through, the simulated import takes: no job dies of a row that was checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertexq.families import family_of
from vertexq.intake import Intake, Prepared
from vertexq.lines import LineSplitter
from vertexq.model import JobError, Policy
from vertexq.simulator.importer import Importer

NAMES = st.sampled_from(["a", "b", "type", "anyOf", "$defs", "full name", "1st", "items"])
NOTHING: dict[str, object] = {}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-1, 1), st.sampled_from(["", "x"])
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(NAMES, below, max_size=3)),
    max_leaves=12,
)
DEEP = st.integers(10, 18).map(lambda levels: orjson.loads(b'{"a":' * levels + b"1" + b"}" * levels))
PARTS: st.SearchStrategy[object] = st.one_of(
    st.just([{"text": "hi"}]), st.just({"text": "hi"}), st.just("hi"), st.just([None]), st.just([])
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a request of Gemini's with one odd place, or none."""
    whole: dict[str, Any] = {"contents": [{"role": "user", "parts": draw(PARTS)}]}
    if draw(st.booleans()):
        whole["generationConfig"] = {"responseSchema": draw(st.one_of(VALUES, DEEP))}
    if draw(st.booleans()):
        whole["tools"] = [{"google_search": draw(st.one_of(VALUES, st.just(NOTHING)))}]
    return whole


def imported(rows: Sequence[Prepared]) -> JobError | None:
    """Import rows as they are staged; return what would end the job."""
    importer = Importer()
    for number, row in enumerate(rows):
        line = b'{"key":"r%d-%s","request":%s}' % (number, row.key.encode(), row.request)
        if error := importer.feed(line):
            return error
    return importer.close()


def runnable(rows: Sequence[object], policy: Policy, *, as_lines: bool) -> dict[int, list[Prepared]]:
    """Return the rows that would be sent, by the group whose batches they go into."""
    intake = Intake(family_of("gemini-2.5-flash"), name="rows", policy=policy)
    found: list[Prepared] = []
    if as_lines:
        splitter = LineSplitter(limit_bytes=1_000_000)
        data = b"".join(orjson.dumps({"request": row}) + b"\n" for row in rows)
        for block in [*splitter.feed(data), *splitter.close()]:
            found += intake.block(block)
    else:
        found += [row for value in rows if (row := intake.row(value)) is not None]
    groups: dict[int, list[Prepared]] = defaultdict(list)
    for row in intake.verdict().sift(found):
        if not row.reason:
            groups[row.group].append(row)
    return groups


@pytest.mark.parametrize("as_lines", [False, True])
@pytest.mark.parametrize(
    "policy", [Policy(set_aside=True), Policy(set_aside=True, split_conflicts=True, repair=True)]
)
@settings(max_examples=150, deadline=None)
@given(rows=st.lists(requests(), min_size=1, max_size=6))
def test_whatever_is_let_through_is_imported(
    as_lines: bool,  # noqa: FBT001
    policy: Policy,
    rows: list[dict[str, Any]],
) -> None:
    """Each group of rows, which share batches, makes a table; what would not is set aside or kept apart."""
    groups = runnable(rows, policy, as_lines=as_lines)

    assert [error for group in groups.values() if (error := imported(group))] == []


@pytest.mark.parametrize("as_lines", [False, True])
def test_what_is_well_is_let_through(as_lines: bool) -> None:  # noqa: FBT001
    """A check that refused everything would keep the promise above, and nothing else."""
    well = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}

    (group,) = runnable([well, well], Policy(set_aside=True), as_lines=as_lines).values()

    assert len(group) == 2


def test_the_import_does_refuse_such_rows() -> None:
    """Unchecked, rows of this kind do end a job: the property above is not empty."""
    rows = [
        Prepared("a", b"", b'{"contents":[{"parts":[{"text":"x"}]}],"x":{}}', 1),
        Prepared("b", b"", b'{"contents":[{"parts":{"text":"x"}}]}', 2),
    ]

    assert [imported([row]) is None for row in rows] == [False, False]
