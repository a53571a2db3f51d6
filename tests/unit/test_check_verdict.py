"""What only a whole file shows: rows of several shapes, keys that come twice, and what becomes of them."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.check_rows import HELLO, NOTHING, intake, judged, line, taken, turn
from vertexq.check.faults import Rule
from vertexq.check.shapes import GROUPS_MOST, Groups, Shape
from vertexq.check.verdict import note_keys
from vertexq.errors import BadSource
from vertexq.intake import Intake, Prepared
from vertexq.lines import Block
from vertexq.model import Estimate
from vertexq.uniqueness import KeyLog


def labelled(value: object) -> bytes:
    """Return a line with a label."""
    return line(HELLO | {"labels": {"a": value}})


def close(lines: list[bytes], **policy: bool) -> tuple[list[Prepared], Intake]:
    """Take lines with their keys noted, as every source does."""
    found = intake(**policy)
    rows = found.block(Block(0, lines))
    with closing(KeyLog()) as keys:
        note_keys(rows, keys)
        found.note_duplicates(keys)
    return rows, found


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("x", 1, "a number here, text in other rows"),
        ("x", True, "a boolean here, text in other rows"),
        ("x", ["x"], "an array of texts here, text in other rows"),
        ("x", {"b": "x"}, "an object here, text in other rows"),
        (["x"], [1], "an array of numbers here, an array of texts in other rows"),
        (["x"], [{"b": 1}], "an array of objects here, an array of texts in other rows"),
        ([], "x", "text here, an array in other rows"),
    ],
)
def test_one_path_has_one_type_in_all_rows(one: object, other: object, said: str) -> None:
    """The row outside the largest group is named, with both kinds and a row that is as most are."""
    _, found = taken([labelled(one), labelled(other), labelled(one)])

    (fault,) = found.verdict().report.faults
    assert (fault.line, fault.rule, fault.path) == (2, Rule.CONFLICT, "request.labels.a")
    assert fault.text == f"{said} (such as line 1)"
    assert "--split-conflicts" in fault.mend


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.5), (None, "x"), ([], ["x"]), (None, {"b": 1}), (None, [1])]
)
def test_what_fits_is_no_conflict(one: object, other: object) -> None:
    """Integers and fractions are one kind, a null and an empty array fit what they can stand for."""
    _, found = taken([labelled(one), labelled(other), labelled(one)])

    assert found.close().report.groups == (3,)


def test_names_that_differ_by_case_are_a_conflict() -> None:
    """Columns of one name would meet."""
    _, found = taken([line(HELLO | {"labels": {name: "x"}}) for name in ("ab", "aB", "ab")])

    (fault,) = found.verdict().report.faults
    assert (fault.line, "another case" in fault.text) == (2, True)


def test_snake_case_and_camel_case_are_different_paths() -> None:
    """Google takes both; a file may have both."""
    _, found = taken(
        [line(HELLO | {name: {"maxOutputTokens": 1}}) for name in ("generationConfig", "generation_config")]
    )

    assert found.close().report.groups == (2,)


def test_without_a_policy_the_file_is_refused_as_a_whole() -> None:
    """The error counts, names the first offenders, and says what to do."""
    _, found = taken([labelled("x"), labelled(1), labelled("x"), b"{"])

    with pytest.raises(BadSource) as caught:
        found.close()

    said = str(caught.value)
    assert said.startswith("rows: 2 of 4 rows cannot be enqueued; nothing was sent.")
    assert "line 2: request.labels.a: " in said
    assert "line 4: not valid JSON" in said


def test_with_split_conflicts_every_group_runs() -> None:
    """Rows of one group can be imported together; nothing is set aside."""
    rows, found = taken([labelled(value) for value in ("x", 1, "y", 2, ["z"])], split_conflicts=True)

    verdict = found.close()
    assert [row.group for row in verdict.sift(rows)] == [0, 1, 0, 1, 2]
    assert verdict.report.groups == (2, 2, 1)
    assert (verdict.report.faulty, verdict.estimate.rows, verdict.sifts) == (0, 5, False)


def test_with_set_aside_the_largest_group_runs() -> None:
    """The others come out with the reason and without a request; every row comes out."""
    rows, found = taken([labelled(value) for value in ("x", 1, 2, None)], set_aside=True)

    verdict = found.close()
    sifted = list(verdict.sift(rows))
    assert [bool(row.reason) for row in sifted] == [False, True, True, False]
    assert (
        sifted[1].reason == "conflict at request.labels.a: a number here, text in other rows (such as line 1)"
    )
    assert (sifted[1].key, sifted[1].request) == ("1", b"")
    assert (verdict.report.aside, verdict.estimate.rows) == (2, 2)


def test_rows_that_are_bad_by_themselves_are_set_aside_where_they_stand() -> None:
    """They keep their key; those without one that can be read are called by their number and line."""
    lines = [
        line(HELLO, "a"),
        line(HELLO | {"labels": NOTHING}, "b"),
        b"",
        b"{",
        b'{"key":"","prompt":"x"}',
        line(HELLO),
    ]

    rows, found = close(lines, set_aside=True)

    assert [row.key for row in found.close().sift(rows)] == ["a", "b", "2~4", "3~5", "4"]
    assert [row.reason.partition(":")[0] for row in rows] == [
        *("", "empty_object at request.labels", "not_json", "key", ""),
    ]
    assert found.close().report.aside == 3


def test_a_key_that_comes_twice_is_a_fault_or_set_aside_under_another_name() -> None:
    """The later row, with its line; the earlier one runs."""
    lines = [line(HELLO, "a"), line(HELLO, "b"), line(HELLO, "a")]

    _, refused = close(lines)
    rows, found = close(lines, set_aside=True)

    with pytest.raises(BadSource, match="line 3: the same key as line 1; every row needs its own"):
        refused.close()
    assert [row.key for row in found.close().sift(rows)] == ["a", "b", "a~3"]


def test_a_key_that_is_made_up_is_no_key_of_another_row() -> None:
    """Neither an answer nor a reason is lost because one row is called as another one would be."""
    lines = [line(HELLO, key) for key in ("a", "a~3", "a", "5~~6", "5~~7")] + [b"{", b"["]

    rows, found = close(lines, set_aside=True)

    sifted = list(found.close().sift(rows))
    assert [row.key for row in sifted] == ["a", "a~3", "a~~~3", "5~~6", "5~~7", "5~~~6", "6~~~7"]
    assert [bool(row.reason) for row in sifted] == [False, False, True, False, False, True, True]


def test_a_row_with_two_faults_is_one_row() -> None:
    """A repeated key of a row that is bad, or of another shape, adds nothing; a repetition costs nothing."""
    bad, other = HELLO | {"labels": NOTHING}, HELLO | {"labels": {"a": 1}}
    good = line(HELLO | {"labels": {"a": "x"}}, "a")
    lines = [good, line(bad, "a"), line(other, "a"), good, line(HELLO, "b")]

    _, found = close(lines, set_aside=True)

    verdict = found.close()
    assert (verdict.report.faulty, verdict.report.aside) == (3, 3)
    assert (verdict.estimate.rows, verdict.estimate.assumed_rows) == (2, 2)


def test_when_no_row_is_left_there_is_nothing_to_run() -> None:
    """Also with the policy of setting aside."""
    _, found = taken([b"{", b"["], set_aside=True)

    with pytest.raises(BadSource, match="none of 2 rows can be sent"):
        found.close()


def test_more_shapes_than_are_kept_apart_are_a_fault() -> None:
    """A number of groups is kept, so that memory is bounded."""
    lines = [line(HELLO | {"labels": {f"a{at}": "x", "b": "x", f"a{at - 1}": 1}}) for at in range(60)]
    shapes = [
        line(HELLO | {"x": {f"k{bit}": "x" if at >> bit & 1 else 1 for bit in range(6)}}) for at in range(60)
    ]

    _, found = taken(shapes, split_conflicts=True)

    report = found.verdict().report
    assert (len(report.groups), report.rules) == (GROUPS_MOST, {Rule.TOO_MANY_SHAPES: 60 - GROUPS_MOST})
    assert len(taken(lines, split_conflicts=True)[1].verdict().report.groups) < GROUPS_MOST


def test_more_paths_than_a_table_has_columns_are_a_fault() -> None:
    """Of the rows of one shape together."""
    lines = [line(HELLO | {"x": {f"n{at}_{number}": 1 for number in range(1_000)}}) for at in range(11)]

    _, found = taken(lines)

    assert found.verdict().report.rules == {Rule.TOO_MANY_PATHS: 2}


@given(
    values=st.lists(st.sampled_from([None, "x", 1, True, [], ["x"], [1], {"b": 1}, {"b": "x"}]), max_size=12)
)
def test_groups_are_the_same_every_time_and_each_can_be_imported(values: list[Any]) -> None:
    """A source is read twice, and by another worker after a crash."""
    lines = [labelled(value) for value in values]

    rows, found = taken(lines, split_conflicts=True)

    assert taken(lines, split_conflicts=True)[0] == rows == taken(lines, split_conflicts=True, quick=False)[0]
    assert sum(found.verdict().report.groups) == len(values)
    for group in range(len(found.verdict().report.groups)):
        assert judged(row for row in rows if row.group == group) == ""


def test_a_shape_has_the_same_group_after_it_was_forgotten() -> None:
    """Facts of a group only grow, so first-fit finds it again."""
    groups = Groups()
    shapes = [Shape({"a": code}) for code in (2, 3, 2)]

    first = [groups.place((shape,), 1) for shape in shapes]

    assert [groups.place((Shape(shape.facts),), 9) for shape in shapes] == first == [0, 1, 0]


def test_the_estimate_counts_text_media_and_the_most_that_may_be_answered() -> None:
    """Four bytes a token, 258 an image, maxOutputTokens for each candidate; no limit is counted apart."""
    image = {"fileData": {"fileUri": "gs://b/o.jpg", "mimeType": "image/jpeg"}}
    limited = turn(parts=[{"text": "x" * 41}, image]) | {
        "generationConfig": {"maxOutputTokens": 10, "candidateCount": 3}
    }

    rows, found = taken([line(limited), line(HELLO)])

    assert [(row.input_tokens, row.output_tokens) for row in rows] == [(11 + 258, 30), (2, 0)]
    assert found.close().estimate == Estimate(rows=2, input_tokens=271, output_tokens=30, assumed_rows=1)
    assert found.family.estimate(orjson.loads(rows[0].request)) == (269, 30)
