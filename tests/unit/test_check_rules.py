"""The rules: every defect that ends a job is found, in one pass, with its line, path, rule and mend."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.check_rows import (
    DEFECTS,
    HELLO,
    NOTHING,
    REQUESTS,
    deep,
    judged,
    line,
    taken,
    turn,
    with_schema,
    with_tool,
)
from vertexq.check.faults import Rule
from vertexq.intake import Prepared
from vertexq.simulator.importer import DEEPEST


def only_fault(text: bytes, **policy: bool) -> tuple[Rule, str, str]:
    """Return rule, path and text of the first fault of the only line."""
    rows, found = taken([text], **policy)
    assert rows == []
    fault = found.verdict().report.faults[0]
    assert (fault.line, bool(fault.mend)) == (1, True)
    return fault.rule, fault.path, fault.text


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_by_its_rule_and_refused_by_the_import_too(name: str) -> None:
    """Both judges agree; the import ends the whole job."""
    request, rule = DEFECTS[name]

    assert only_fault(line(request))[0] is rule
    assert judged([Prepared("a", b"", orjson.dumps(request), 1)])


def test_one_check_finds_every_defect_of_a_file() -> None:
    """One a line: as many rows are faulty as there are lines, and each rule is counted."""
    rows, found = taken([line(request) for request, _ in DEFECTS.values()])

    report = found.verdict().report
    assert (rows, report.faulty, report.rows) == ([], len(DEFECTS), len(DEFECTS))
    assert set(report.rules) == {rule for _, rule in DEFECTS.values()}


@pytest.mark.parametrize(
    ("text", "rule", "path"),
    [
        (line(turn(role="system")), Rule.ROLE, "request.contents.role"),
        (line(turn(parts=[])), Rule.PARTS, "request.contents.parts"),
        (line(turn(parts=[{"text": "a\0b"}])), Rule.TEXT, "request.contents.parts.text"),
        (b'{"request":{"contents":[{"parts":[{"text":"\\ud800"}]}]}}', Rule.TEXT, ""),
        (b'{"prompt":"\xff"}', Rule.ENCODING, ""),
        (b'{"prompt":"a","x":1e999}', Rule.NOT_FINITE, ""),
        (b'{"prompt":"a","x":-Infinity}', Rule.NOT_FINITE, ""),
        (b'{"prompt":"a","x":18446744073709551616}', Rule.INTEGER_RANGE, ""),
        (b'{"prompt":"a","x":9223372036854775808}', Rule.INTEGER_RANGE, ""),
        (b'{"prompt":"a","x":' + b"9" * 5_000 + b"}", Rule.INTEGER_RANGE, ""),
        (b'{"prompt":"a","prompt":"b"}', Rule.REPEATED_NAME, ""),
        (
            b'{"request":{"contents":[{"role":"user","role":"user","parts":[{"text":"a"}]}]}}',
            Rule.REPEATED_NAME,
            "",
        ),
        (b'{"prompt":' + b'{"a":' * 1_100 + b"1" + b"}" * 1_101, Rule.DEPTH, ""),
        (b'{"prompt":' + b"[" * 100_000, Rule.DEPTH, ""),
        (line(HELLO | {"labels": {"a": 2**63}}), Rule.INTEGER_RANGE, ""),
        (line(HELLO | {"labels": {"a": "x", "A": "y"}}), Rule.REPEATED_NAME, "request.labels"),
        (line(HELLO | {"labels": {"_TABLE_x": "x"}}), Rule.FIELD_NAME, "request.labels._TABLE_x"),
        (line(HELLO | {"labels": {"x" * 301: "x"}}), Rule.FIELD_NAME, "request.labels." + "x" * 59 + "…"),
        (line(HELLO | {"x": [[1]]}), Rule.NESTED_ARRAY, "request.x"),
        (line(HELLO | {"x": [1, "a"]}), Rule.MIXED_KINDS, "request.x"),
        (line(HELLO | {"x": [1, {"a": 1}]}), Rule.MIXED_KINDS, "request.x"),
        (line(HELLO | {"cachedContent": "c"}), Rule.UNSUPPORTED, "request.cachedContent"),
        (
            line(with_tool({"retrieval": {"vertexRagStore": {"similarityTopK": 1}}})),
            Rule.UNSUPPORTED,
            "request.tools.retrieval",
        ),
        (
            line(HELLO | {"modelArmorConfig": {"a": "b"}, "safetySettings": [{"a": "b"}]}),
            Rule.UNSUPPORTED,
            "request.modelArmorConfig",
        ),
        (
            line(HELLO | {"tool_config": {"a": 1}, "toolConfig": {"a": 1}}),
            Rule.REPEATED_NAME,
            "request.tool_config",
        ),
        (line(HELLO | {"systemInstruction": "Be brief."}), Rule.REQUEST, "request.systemInstruction"),
    ],
)
def test_what_else_cannot_be_sent_is_found(text: bytes, rule: Rule, path: str) -> None:
    """Hazards of text, numbers and names, and what Gemini's batch does not take."""
    assert only_fault(text)[:2] == (rule, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_json_cannot_write_is_found(value: float) -> None:
    """It would be sent as null without a word."""
    _, found = taken([])

    assert found.row({"request": {**HELLO, "generationConfig": {"temperature": value}}}) is None
    assert found.verdict().report.faults[0].rule is Rule.NOT_FINITE


def test_depth_is_counted_as_the_import_does() -> None:
    """Objects from ``request`` on; arrays do not count."""
    levels = DEEPEST - 2  # within request.generationConfig

    assert taken([line(with_schema(deep(levels)))])[0]
    assert only_fault(line(with_schema(deep(levels + 1))))[0] is Rule.DEPTH


@pytest.mark.parametrize("levels", [20, 200, 300, 600, 1_000, 2_000])
def test_any_number_of_levels_is_a_fault_and_nothing_worse(levels: int) -> None:
    """Wherever they are; no reader, writer or walker gives up half way."""
    deeper = b'{"a":' * levels + b"1" + b"}" * levels
    lists = b"[" * levels + b"]" * levels
    places = [b'{"request":{"tools":%b}}', b'{"request":{"contents":[{"parts":[%b]}]}}', b'{"contents":%b}']
    sent = [b'{"request":{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"responseSchema":%b}}}']

    rows, found = taken(
        [place % value for place in (*places, *sent) for value in (deeper, lists)], repair=True
    )

    assert rows == []
    assert found.verdict().report.faulty == 8


def test_a_row_with_several_defects_names_them_all() -> None:
    """Up to five, so that a file is mended in one go."""
    request = {**turn(role="x", parts={}), "tools": [{"urlContext": NOTHING}], "labels": {"a b": "c"}}

    _, found = taken([line(request)])

    report = found.verdict().report
    assert report.faulty == 1
    assert {fault.rule for fault in report.faults} >= {Rule.FIELD_NAME, Rule.EMPTY_OBJECT}


def test_a_fault_quotes_names_but_no_values_and_nothing_a_terminal_obeys() -> None:
    """Names are cut short, control characters are escaped."""
    name = "\x1b[2J" + "n" * 500
    _, found = taken([line(HELLO | {"x": {name: ["SECRET", None]}})])

    said = "\n".join(found.verdict().report.lines())
    assert r"\x1b" in said
    assert not {"\x1b", "SECRET", "n" * 100} & {
        word for word in ("\x1b", "SECRET", "n" * 100) if word in said
    }


@settings(max_examples=300, deadline=None)
@given(requests=st.lists(REQUESTS, min_size=1, max_size=4), split=st.booleans())
def test_every_file_that_the_check_passes_the_import_passes_too(requests: list[Any], *, split: bool) -> None:
    """Whatever comes out, group by group, is taken by the simulator's import as a whole."""
    rows, found = taken([line(request) for request in requests], set_aside=True, split_conflicts=split)

    sifted = [row for row in found.verdict().sift(rows) if not row.reason]
    for group in {row.group for row in sifted}:
        assert judged(row for row in sifted if row.group == group) == ""
