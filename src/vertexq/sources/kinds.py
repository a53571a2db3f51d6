"""What a source's name says about it: its format, whether it is packed, whether it is a wildcard. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from vertexq.errors import BadSource
from vertexq.model import GcsUri

WILDCARD = "*"
SOURCES_LIMIT = 1_000
"""How many gs:// URIs one submission may name; a wildcard stands for any number of objects."""
SOURCES_LIMIT_BYTES = 256 * 1024

_PACKED = (".gz", ".zst")


class Format(StrEnum):
    """How the unpacked bytes of a source are to be read."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


def format_of(name: str) -> Format:
    """Return the format that a name ends in, packed or not; anything else is JSON Lines."""
    for ending in _PACKED:
        name = name.removesuffix(ending)
    ending = name.rpartition(".")[2].lower()
    return Format(ending) if ending in frozenset(Format) else Format.JSONL


def is_packed(name: str) -> bool:
    """Tell whether a name ends like an archive's."""
    return name.endswith(_PACKED)


def is_object(source: object) -> bool:
    """Tell whether a source is written as a ``gs://`` URI."""
    return isinstance(source, str) and source.startswith("gs://")


def check_objects(uris: Sequence[str], *, directories: bool = False) -> None:
    """Raise ``BadSource`` unless every URI names an object, or objects by a wildcard, that can be read.

    ``directories``, whose names end in a slash, are for outputs of jobs only.
    """
    if not uris:
        raise BadSource("no source was given; pass at least one gs:// URI")
    if len(uris) > SOURCES_LIMIT or sum(map(len, uris)) > SOURCES_LIMIT_BYTES:
        raise BadSource(
            f"{len(uris):,} URIs are too many for one submission (at most {SOURCES_LIMIT:,}); use a "
            "wildcard, gs://bucket/prefix/*.jsonl"
        )
    for uri in uris:
        _check_object(f"{uri}*" if directories and uri.endswith("/") else uri)
    if len(set(uris)) < len(uris):
        raise BadSource("the same gs:// URI is named twice; nothing was sent")


def _check_object(uri: str) -> None:
    try:
        parsed = GcsUri.parse(uri)
    except ValueError as error:
        raise BadSource(f"{error}; nothing was sent") from None
    if not parsed.name or parsed.name.endswith("/") or "\n" in uri or "\r" in uri:
        raise BadSource(
            f"{uri!r} names no object; pass the whole name, gs://bucket/path/file.jsonl, or say what a "
            "directory holds: images, by the family of their model, or a job's output, by resume"
        )
    if WILDCARD in parsed.bucket:
        raise BadSource(f"{uri} has a wildcard in its bucket's name; only names of objects may have one")
    if format_of(uri) is Format.PARQUET:
        raise BadSource(
            f"{uri} is a Parquet file, which cannot be read as a stream; submit a local copy of it, or "
            "turn it into JSON Lines"
        )


def listing_prefix(pattern: GcsUri) -> GcsUri:
    """Return what all names that match have in common: the part before the first wildcard."""
    return GcsUri(bucket=pattern.bucket, name=pattern.name.partition(WILDCARD)[0])


def pattern_of(name: str) -> re.Pattern[str]:
    """Return what a name must match: ``*`` stays within a segment, ``**`` passes slashes.

    ``**/`` may also stand for nothing. Every other character stands for itself: object names may hold any.
    """
    parts = re.split(r"(\*\*/|\*\*|\*)", name)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(words.get(part) or re.escape(part) for part in parts), re.DOTALL)
