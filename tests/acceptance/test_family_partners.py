"""Claude and open models, end to end: a producer's rows through broker, worker, Google and store."""

from __future__ import annotations

from tests.acceptance.families_house import FamiliesHouse

CLAUDE = "publishers/anthropic/models/claude-sonnet-4-5"
LLAMA = "publishers/meta/models/llama-4-maverick-17b-128e-instruct-maas"


def test_claude_answers_by_custom_id(families: FamiliesHouse) -> None:
    """Every row has its answer, its refusal or its error, under the producer's key, and its price."""
    families.behave("run=claude", bad_rows=0.05, blocked_rows=0.05, cut_rows=0.05)
    rows = [{"key": f"k{number}", "prompt": f"Say {number}"} for number in range(300)]
    source = families.put_rows("claude/rows.jsonl", rows)

    ran = families.run(
        source,
        model="anthropic/claude-sonnet-4-5",
        parameters={"max_tokens": 200},
        labels={"run": "claude"},
    )

    counts, reasons = ran.status.counts, {row.reason for row in ran.results.values()}
    assert counts.succeeded + counts.blocked + counts.failed == len(ran.results) == 300
    assert min(counts.succeeded, counts.blocked, counts.failed) > 0
    assert reasons == {None, "max_tokens", "refusal", "INVALID_ARGUMENT"}
    assert all(
        f"Say {key[1:]}" in (row.text or "")
        for key, row in ran.results.items()
        if row.finish_reason == "end_turn"
    )
    assert ran.status.cost_usd
    assert [create["model"] for create in families.creates(ran)] == [CLAUDE]


def test_an_open_model_answers_lines_of_an_openai_batch(families: FamiliesHouse) -> None:
    """The lines that people have for OpenAI's batches are taken as they are; their ids are the keys."""
    families.behave("run=llama", server_error_rows=0.04, missing_rows=0.02)
    rows = [
        {
            "custom_id": f"request-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"messages": [{"role": "user", "content": f"Say {number}"}], "max_tokens": 100},
        }
        for number in range(300)
    ]
    source = families.put_rows("llama/rows.jsonl", rows)

    ran = families.run(source, model=LLAMA, key="custom_id", labels={"run": "llama"})

    assert ran.status.counts.succeeded == len(ran.results) == 300
    assert all(f"Say {key.rpartition('-')[2]}" in (row.text or "") for key, row in ran.results.items())
    assert {create["model"] for create in families.creates(ran)} == {LLAMA}
