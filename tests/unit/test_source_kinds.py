"""What names of sources say."""

from __future__ import annotations

import pytest

from vertexq.errors import BadSource
from vertexq.model import GcsUri
from vertexq.sources.kinds import Format, check_objects, format_of, listing_prefix, pattern_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", Format.JSONL),
        ("a.csv.gz", Format.CSV),
        ("gs://b/a.TSV", Format.TSV),
        ("a.parquet", Format.PARQUET),
        ("a.txt", Format.JSONL),
        ("-", Format.JSONL),
    ],
)
def test_the_name_tells_the_format(name: str, kind: Format) -> None:
    """What is unknown is JSON Lines."""
    assert format_of(name) is kind


@pytest.mark.parametrize(
    ("pattern", "matches", "does_not"),
    [
        ("p/*.jsonl", ["p/a.jsonl", "p/.jsonl"], ["p/q/a.jsonl", "p/a.jsonl.gz", "xp/a.jsonl"]),
        ("p/**.jsonl", ["p/a.jsonl", "p/q/a.jsonl"], ["p.jsonl"]),
        ("p/**/a", ["p/a", "p/q/a", "p/q/r/a"], ["pa", "p/xa"]),
        ("p[1]?*", ["p[1]?", "p[1]?x"], ["p1x", "p[1]x"]),
    ],
)
def test_a_star_stays_in_its_segment_and_two_do_not(
    pattern: str, matches: list[str], does_not: list[str]
) -> None:
    """Other characters stand for themselves."""
    assert [name for name in matches + does_not if pattern_of(pattern).fullmatch(name)] == matches
    assert all(name.startswith(listing_prefix(GcsUri(bucket="b", name=pattern)).name) for name in matches)


@pytest.mark.parametrize(
    ("uris", "says"),
    [
        ([], "no source was given"),
        (["gs://b/"], "names no object"),
        (["gs://b/p/"], "names no object"),
        (["gs://b/a\ngs://b/c"], "names no object"),
        (["gs://b*/a"], "wildcard in its bucket"),
        (["gs://b/a.parquet"], "is a Parquet file"),
        (["gs://b/a", "gs://b/a"], "named twice"),
        (["s3://b/a"], "not of the form gs://"),
        ([f"gs://b/{n}" for n in range(1001)], "too many"),
    ],
)
def test_uris_that_cannot_be_read_are_refused(uris: list[str], says: str) -> None:
    """Before anything is enqueued."""
    with pytest.raises(BadSource, match=says):
        check_objects(uris)
