"""The simulator's output rows have the shapes of Google's, and the seed decides them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.importer import Importer
from vertexq.simulator.kinds.base import Task
from vertexq.simulator.kinds.gemini import Answerer
from vertexq.simulator.kinds.lots import Fate, OutputRow

NOW = datetime(2026, 11, 21, 4, 5, 6, 789012, tzinfo=UTC)
Row = dict[str, Any]


def request(text: str, **more: object) -> Row:
    """Return a request with one prompt."""
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


def outputs(
    *rows: object, behaviour: Behaviour | None = None, seed: int = 1, now: datetime = NOW
) -> list[OutputRow]:
    """Answer input rows as one job does."""
    lines = [json.dumps(row).encode() for row in rows]
    importer = Importer()
    assert [importer.feed(line) for line in lines] == [None] * len(lines)
    answerer = Answerer(
        Task(
            seed=seed,
            model="publishers/google/models/gemini-2.5-flash",
            behaviour=behaviour or Behaviour(),
            shape=importer.shape,
            salt=importer.digest,
        )
    )
    return [answerer.answer(line, now) for line in lines]


def parsed(output: OutputRow) -> Row:
    """Return the one line of an output row."""
    (line,) = output.lines
    assert line.endswith(b"\n")
    return cast("Row", json.loads(line))


def text_of(row: Row) -> str:
    """Return the text of the first candidate."""
    return str(row["response"]["candidates"][0]["content"]["parts"][0]["text"])


def test_an_answered_row_has_googles_shape() -> None:
    """Siblings, status, times, the echoed request, and a response with its counts."""
    row = parsed(*outputs({"key": "k-1", "request": request("Say one")}))

    assert list(row) == ["key", "status", "processed_time", "request", "response"]
    assert (row["key"], row["status"]) == ("k-1", "")
    assert row["processed_time"] == "2026-11-21T04:05:06.789+00:00"
    assert row["request"] == request("Say one")
    response = row["response"]
    assert response["createTime"] == "2026-11-21T04:05:06.789012Z"
    assert (response["modelVersion"], response["candidates"][0]["finishReason"]) == (
        "gemini-2.5-flash",
        "STOP",
    )
    usage = response["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]
    assert "Say one" in text_of(row)


def test_seed_and_content_decide_the_answer() -> None:
    """The same row gives the same text, at whatever time; another seed or prompt another one."""
    one, other = {"request": request("Say one")}, {"request": request("Say two")}

    first = text_of(parsed(*outputs(one)))

    assert first == text_of(parsed(*outputs(one, now=NOW + timedelta(days=1))))
    assert first == text_of(parsed(outputs(other, one)[1]))
    assert first != text_of(parsed(*outputs(one, seed=2)))
    assert first != text_of(parsed(*outputs(other)))


def test_the_request_comes_back_as_the_import_left_it() -> None:
    """Keys in order, and null for what other rows have."""
    picture = {"role": "user", "parts": [{"fileData": {"fileUri": "gs://b/x"}}]}

    first, second = outputs({"key": "k", "request": request("hi")}, {"request": {"contents": [picture]}})

    assert parsed(first)["request"] == {
        "contents": [{"parts": [{"fileData": None, "text": "hi"}], "role": "user"}]
    }
    assert parsed(second)["request"]["contents"][0]["parts"] == [
        {"fileData": {"fileUri": "gs://b/x"}, "text": None}
    ]
    assert parsed(second)["key"] is None
    assert b'"contents":[{"parts":[{"fileData":null,"text":"hi"}],"role":"user"}]' in first.lines[0]


def test_a_bad_role_is_that_rows_own_fault() -> None:
    """The row says 400; its neighbour is answered."""
    bad = {"request": {"contents": [{"role": "tester", "parts": [{"text": "x"}]}]}}

    failed, answered = outputs(bad, {"request": request("hi")})

    row = parsed(failed)
    assert (failed.ok, answered.ok) == (False, True)
    assert row["status"] == (
        'Bad Request: {"error": {"code": 400, "message": "Please use a valid role: user, model.",'
        ' "status": "INVALID_ARGUMENT"}}'
    )
    assert row.get("response", {}) == {}


@pytest.mark.parametrize(
    ("share", "fate", "code"),
    [
        ("bad_rows", Fate.BAD, 400),
        ("quota_rows", Fate.QUOTA, 429),
        ("server_error_rows", Fate.SERVER_ERROR, 500),
    ],
)
def test_rows_fail_with_googles_status_texts(share: str, fate: Fate, code: int) -> None:
    """A prefix, then an error in JSON; some rows have an empty response, some none."""
    rows = [{"request": request(f"Say {number}")} for number in range(20)]

    found = outputs(*rows, behaviour=Behaviour(**{share: 1.0}))  # type: ignore[arg-type]

    statuses = [parsed(each)["status"] for each in found]
    assert {each.fate for each in found} == {fate}
    assert {json.loads(status[status.index("{") :])["error"]["code"] for status in statuses} == {code}
    assert {parsed(each).get("response", "absent") == {} for each in found} == {True, False}


def test_shares_are_kept_and_the_seed_decides_who() -> None:
    """Of many rows about the share fares so, the same ones each time, others with another seed."""
    rows = [{"request": request(f"Say {number}")} for number in range(2000)]
    behaviour = Behaviour(quota_rows=0.1, missing_rows=0.1, blocked_rows=0.2, cut_rows=0.1)

    fates = [each.fate for each in outputs(*rows, behaviour=behaviour)]

    counts = Counter(fates)
    assert 150 < counts[Fate.QUOTA] < 250
    assert 150 < counts[Fate.MISSING] < 250
    assert 250 < counts[Fate.BLOCKED] < 400
    assert fates == [each.fate for each in outputs(*rows, behaviour=behaviour)]
    assert fates != [each.fate for each in outputs(*rows, behaviour=behaviour, seed=2)]


def test_what_passes_may_pass_in_another_job() -> None:
    """A row that met a full quota in one input need not in another; a blocked one is blocked for ever."""
    rows = [{"request": request(f"Say {number}")} for number in range(50)]
    behaviour = Behaviour(quota_rows=0.5, blocked_rows=0.5)

    whole = [each.fate for each in outputs(*rows, behaviour=behaviour)]
    half = [each.fate for each in outputs(*rows[:25], behaviour=behaviour)]

    pairs = list(zip(whole, half, strict=False))
    assert (Fate.QUOTA, Fate.ANSWERED) in pairs or (Fate.QUOTA, Fate.BLOCKED) in pairs
    assert (Fate.BLOCKED, Fate.ANSWERED) not in pairs


@pytest.mark.parametrize(
    ("behaviour", "has", "lacks"),
    [
        (Behaviour(blocked_rows=1), "promptFeedback", "candidates"),
        (Behaviour(no_usage_rows=1), "candidates", "usageMetadata"),
        (Behaviour(safety_rows=1), "candidates", "promptFeedback"),
    ],
)
def test_answers_lack_what_they_often_lack(behaviour: Behaviour, has: str, lacks: str) -> None:
    """Such a row counts as successful all the same."""
    (found,) = outputs({"request": request("hi")}, behaviour=behaviour)

    assert found.ok
    assert has in parsed(found)["response"]
    assert lacks not in parsed(found)["response"]


def test_withheld_and_cut_answers_say_so() -> None:
    """A withheld candidate has no content; a cut one ends early; thoughts count, totals may be missing."""
    row = {"request": request("hi")}

    (withheld,) = outputs(row, behaviour=Behaviour(safety_rows=1))
    (cut,) = outputs(row, behaviour=Behaviour(cut_rows=1, thinking_rows=1))
    (whole,) = outputs(row, behaviour=Behaviour(no_total_rows=1))

    candidate = parsed(withheld)["response"]["candidates"][0]
    assert (candidate["finishReason"], "content" in candidate) == ("SAFETY", False)
    assert parsed(cut)["response"]["candidates"][0]["finishReason"] == "MAX_TOKENS"
    usage = parsed(cut)["response"]["usageMetadata"]
    assert usage["totalTokenCount"] == sum(
        usage[name] for name in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    )
    assert text_of(parsed(whole)).startswith(text_of(parsed(cut)))
    assert "totalTokenCount" not in parsed(whole)["response"]["usageMetadata"]


def test_options_of_the_request_count() -> None:
    """The number of tokens and of candidates, in either spelling."""
    few = request("hi", generationConfig={"maxOutputTokens": 3})
    two = request("hi", generation_config={"candidate_count": 2})

    short, twice = outputs({"request": few}, {"request": two})

    assert len(text_of(parsed(short))) == 12
    assert parsed(short)["response"]["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert len(parsed(twice)["response"]["candidates"]) == 2


def test_json_is_answered_when_json_is_asked_for() -> None:
    """With a schema the answer fits it, without one it is an object."""
    schema = {
        "type": "OBJECT",
        "properties": {
            "name": {"type": "STRING"},
            "age": {"type": "integer"},
            "score": {"type": ["number", "null"]},
            "ok": {"type": "BOOLEAN"},
            "kind": {"enum": ["cat"]},
            "tags": {"type": "ARRAY", "items": {"type": "STRING"}},
        },
    }
    mime = {"responseMimeType": "application/json"}

    bare = outputs({"request": request("hi", generationConfig=mime)})
    full = outputs({"request": request("hi", generationConfig={**mime, "responseSchema": schema})})

    assert list(json.loads(text_of(parsed(*bare)))) == ["answer"]
    found = json.loads(text_of(parsed(*full)))
    assert set(found) == {"name", "age", "score", "ok", "kind", "tags"}
    assert found["kind"] == "cat"
    assert [type(found[name]) for name in ("name", "age", "score", "ok", "tags")] == [
        str,
        int,
        float,
        bool,
        list,
    ]


@pytest.mark.parametrize(
    ("echo", "keys"),
    [(Echo.SIBLINGS, ["000000", "1"]), (Echo.COERCED, [0, 1]), (Echo.NONE, ["absent", "absent"])],
)
def test_siblings_come_back_as_told(echo: Echo, keys: list[object]) -> None:
    """As they were, not at all, or as numbers when the whole column reads as numbers."""
    rows = [{"key": "000000", "request": request("a")}, {"key": "1", "request": request("b")}]

    found = outputs(*rows, behaviour=Behaviour(echo=echo))

    assert [parsed(each).get("key", "absent") for each in found] == keys


def test_a_column_with_a_word_in_it_stays_text() -> None:
    """One key that is no number keeps the others what they were."""
    rows = [{"key": "000000", "request": request("a")}, {"key": "k-1", "request": request("b")}]

    found = outputs(*rows, behaviour=Behaviour(echo=Echo.COERCED))

    assert [parsed(each)["key"] for each in found] == ["000000", "k-1"]


def test_lines_may_be_missing_or_repeated() -> None:
    """A missing row has no line, a repeated one has the same line twice."""
    row = {"request": request("a")}

    (missing,) = outputs(row, behaviour=Behaviour(missing_rows=1))
    (repeated,) = outputs(row, behaviour=Behaviour(repeated_rows=1))

    assert (missing.lines, missing.ok) == ((), False)
    assert repeated.lines[0] == repeated.lines[1]


def test_odd_text_stays_on_one_line() -> None:
    """Separators that other programs take for line ends are inside the text, as themselves."""
    (found,) = outputs({"request": request("a")}, behaviour=Behaviour(odd_rows=1))

    assert {"\u2028", "\u2029", "\u0085"} < set(text_of(parsed(found)))
    assert found.lines[0].count(b"\n") == 1


def test_an_earlier_jobs_answer_passes_through() -> None:
    """A row that is answered already is not answered again; a failed one is."""
    done = {"status": "", "request": request("a"), "response": {"candidates": [{"index": 7}]}}
    failed = {"status": "Bad Request", "request": request("b"), "response": {}}
    with_check_off = Importer(check=False)
    lines = [json.dumps(row).encode() for row in (done, failed)]
    assert [with_check_off.feed(line) for line in lines] == [None, None]
    shape, salt = with_check_off.shape, with_check_off.digest
    answerer = Answerer(Task(seed=1, model="m", behaviour=Behaviour(), shape=shape, salt=salt))

    first, second = (answerer.answer(line, NOW) for line in lines)

    assert parsed(first) == done
    assert parsed(second)["status"] == ""
