"""Layouts: which of our columns land in which table, under which names."""

from __future__ import annotations

from contextlib import closing

import pytest

from vertexq.errors import BadSettings
from vertexq.results import RESULT_COLUMNS, Outcome
from vertexq.stores import open_store
from vertexq.stores.columns import COLUMNS, result_of
from vertexq.stores.layout import Layout, replaces, split_layout, take_options
from vertexq.testing.store_rows import full_row, row


def test_without_a_layout_the_table_is_ours() -> None:
    """All columns, under their own names, and the URL is as it was."""
    url = "postgresql://u:p@h/db?options=-csearch_path%3Ds&x"

    assert split_layout(url) == (url, Layout())
    assert Layout().is_whole
    assert Layout().key == ("submission_id", "key")
    assert Layout().result_of(full_row("a"), submission_id="other") == result_of(full_row("a"))


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("sqlite:///f.db?table=answers&columns=key:id,text:answer", "sqlite:///f.db"),
        ("a://h/d?x=%41&table=answers&y&columns=key%3Aid%2Ctext:answer", "a://h/d?x=%41&y"),
        ("a://h/d?columns=key:id,%20text:answer&&table=answers", "a://h/d?"),
    ],
)
def test_a_layout_is_taken_out_of_the_url(url: str, rest: str) -> None:
    """The other options stay as they were, byte for byte."""
    found, layout = split_layout(url)

    assert found == rest
    assert (layout.table, [name for _, name in layout.names]) == ("answers", ["id", "answer"])
    assert layout.pick(row("k", text="t")) == ("k", "t")


def test_a_table_that_lacks_columns_gives_nulls() -> None:
    """What is not held is None; a row whose outcome nobody kept counts as succeeded."""
    _, layout = split_layout("a://b?columns=cost_usd,key:id,response")

    result = layout.result_of((0.5, "k", b'{"a": 1}'), submission_id="sub-7")

    assert (result.submission_id, result.key, result.cost_usd) == ("sub-7", "k", 0.5)
    assert (result.outcome, result.text, result.response) == (Outcome.SUCCEEDED, None, {"a": 1})


@pytest.mark.parametrize(
    ("columns", "key", "judged"),
    [
        ("key", ("key",), False),
        ("key:id,submission_id:run,outcome", ("run", "id"), False),
        ("attempt,key,outcome", ("key",), True),
    ],
)
def test_the_key_and_the_judge_follow_from_the_columns(
    columns: str, key: tuple[str, ...], *, judged: bool
) -> None:
    """The submission is part of the key when it is held; outcome and attempt say which row is better."""
    _, layout = split_layout(f"a://b?columns={columns}")

    assert (layout.key, layout.is_judged, layout.is_whole) == (key, judged, False)
    assert len(layout.pick(full_row("k"))) == len(layout.names)


def test_all_columns_in_another_order_are_whole() -> None:
    """Values go by name, not by place."""
    _, layout = split_layout(f"a://b?columns={','.join(reversed(RESULT_COLUMNS))}")

    stored = layout.pick(full_row("a"))
    assert layout.is_whole
    assert layout.columns == COLUMNS[::-1]
    assert layout.result_of(stored, submission_id="") == result_of(full_row("a"))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("columns=", "no column of results"),
        ("columns=text:answer", "lacks key"),
        ("columns=key,tokens", "'tokens'"),
        ("columns=key,key:id", "'key' twice"),
        ("columns=key:a,text:A", "'a' twice"),
        ("columns=key:1st", "the name for key"),
        ('columns=key:a"b', "the name for key"),
        ("columns=key:", "the name for key"),
        ("columns=key:" + "x" * 64, "at most 63"),
        ("columns=key&columns=key", "columns= stands twice"),
        ("table=", "table is ''"),
        ("table=my.answers", "table is 'my.answers'"),
        ("table=vertexq_Progress", "the store itself"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(query: str, said: str) -> None:
    """With what is wrong, and nothing of the rest of the URL."""
    with pytest.raises(BadSettings, match=said) as refused:
        split_layout(f"postgresql://u:hidden@h/db?password=hidden&{query}")

    assert "hidden" not in str(refused.value)


def test_a_store_of_files_takes_columns_only() -> None:
    """It has no tables to name."""
    assert split_layout("jsonl:///d?columns=key", tables=False)[1].key == ("key",)
    with pytest.raises(BadSettings, match="no tables"):
        split_layout("jsonl:///d?table=answers", tables=False)


def test_options_are_taken_by_name() -> None:
    """One without a value is there and empty."""
    assert take_options("a://b?compress&c=1", "compress", "level") == ("a://b?c=1", {"compress": ""})
    assert take_options("a://b?", "compress") == ("a://b?", {})


@pytest.mark.parametrize(
    ("url", "table"),
    [
        ("bigquery://p.d.t", "p.d.t"),
        ("bigquery://p.d", "p.d.vertexq_results"),
        ("bigquery://p.d?table=x", "p.d.x"),
        ("bigquery://example.com:p.d?table=x&vector=3", "example.com:p.d.x"),
    ],
)
def test_a_table_of_bigquery_is_named_by_the_address_or_the_layout(url: str, table: str) -> None:
    """A project may stand below a domain."""
    with closing(open_store(url)) as store:
        assert f" {table}," in store.location("s")


@pytest.mark.parametrize("url", ["bigquery://p.d.t?table=x", "bigquery://p", "bigquery://p.d.t?other=1"])
def test_a_table_of_bigquery_that_is_named_twice_is_refused(url: str) -> None:
    """Nobody could say which one was meant."""
    with pytest.raises(BadSettings, match="names no table, or table= names another one"):
        open_store(url)


def test_what_an_older_file_lacks_is_as_for_a_row_that_succeeded() -> None:
    """Also in a layout of all columns, read from a file of fewer."""
    lacking = full_row("a")._replace(outcome=None, batch_id=None, attempt=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    result = Layout().result_of(lacking, submission_id="sub-1")

    assert (result.outcome, result.batch_id, result.attempt) == (Outcome.SUCCEEDED, "", 1)


def test_what_the_ledger_judged_and_what_succeeded_replaces() -> None:
    """In a table that does not say which row is the better one."""
    judged = frozenset({"a"})

    assert replaces(row("a", outcome="failed"), judged)
    assert replaces(row("b"), judged)
    assert not replaces(row("b", outcome="failed"), judged)
