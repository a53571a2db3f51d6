"""Vectors as JSON text, as floats of the machine, and as stores are told of them."""

from __future__ import annotations

import struct

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertexq.errors import BadSettings
from vertexq.stores.postgres_vectors import VectorColumn
from vertexq.stores.vectors import UnfitVector, Vector, check_lengths, compact, misfit, packed, unpacked
from vertexq.testing.store_rows import row

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1)


@given(numbers=NUMBERS)
def test_numbers_of_32_bits_come_back_exact(numbers: list[float]) -> None:
    """The sign of a zero and the smallest numbers included."""
    assert list(map(repr, unpacked(packed(orjson.dumps(numbers))))) == list(map(repr, numbers))


@given(numbers=st.lists(st.floats(-3e38, 3e38), min_size=1))
def test_other_numbers_come_back_as_the_nearest(numbers: list[float]) -> None:
    """As the machine rounds them."""
    assert unpacked(packed(orjson.dumps(numbers))) == [
        struct.unpack("f", struct.pack("f", n))[0] for n in numbers
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[1e39, 0, 0]", "too large for 32 bits"),
        (b"[1, 2]", "has 2 numbers, the store's have 3"),
        (b"[]", "no list of numbers"),
        (b'["a", "b", "c"]', "no list of numbers"),
        (b"[1, 2, null]", "no list of numbers"),
        (b"[[1], 2, 3]", "no list of numbers"),
        (b'{"a": 1}', "no list of numbers"),
        (b"[1, 2", "no list of numbers"),
        (b"[1, 2, 1e400]", "no list of numbers"),
    ],
)
def test_what_is_no_vector_of_the_store_is_said_so(raw: bytes, said: str) -> None:
    """In a sentence without its numbers."""
    with pytest.raises(UnfitVector, match=said) as refused:
        packed(raw, dimensions=3)

    assert misfit([row("a"), row("b", embedding=raw)], Vector(dimensions=3)) == str(refused.value)


def test_lengths_are_checked_without_reading_the_numbers() -> None:
    """A vector of the right length passes, whatever it holds; a store without a size asks nothing."""
    rows = [row("a"), row("b", embedding=b"[0.5,1]")]
    check_lengths(rows, Vector(dimensions=2))
    check_lengths(rows, None)

    with pytest.raises(UnfitVector):
        check_lengths(rows, Vector(dimensions=3))


def test_halves_hold_less() -> None:
    """65,504 is the largest number of 16 bits."""
    half = Vector(dimensions=1, half=True)

    assert misfit([row("a", embedding=b"[65504]")], half) == ""
    assert misfit([row("a", embedding=b"[65520]")], half) == "embedding holds a number too large for 16 bits"


def test_white_space_is_left_out() -> None:
    """Nothing else changes."""
    assert compact(b"[ 1.50,\r\n\t-2e-05 ]") == b"[1.50,-2e-05]"


@pytest.mark.parametrize(
    ("text", "vector"),
    [
        ("768", Vector(dimensions=768)),
        ("vector:3", Vector(dimensions=3)),
        ("halfvec:3", Vector(dimensions=3, half=True)),
    ],
)
def test_a_size_is_read(text: str, vector: Vector) -> None:
    """Only PostgreSQL knows halves."""
    assert Vector.parse(text, halves=True) == vector
    if vector.half:
        with pytest.raises(BadSettings, match="only PostgreSQL has halfvec; write vector=3"):
            Vector.parse(text)


@pytest.mark.parametrize(
    ("type_", "column"),
    [
        ("vector(768)", VectorColumn(kind="vector", dimensions=768)),
        ("public.vector", VectorColumn(kind="vector")),
        ('"My ""schema".halfvec(3)', VectorColumn(kind="halfvec", dimensions=3)),
        ("real[]", VectorColumn(kind="real[]")),
        ("real[](3)", VectorColumn(kind="real[]", dimensions=3)),
        ("double precision[]", VectorColumn(kind="double precision[]")),
        ("jsonb", VectorColumn(kind="jsonb")),
        ("character varying(9)", VectorColumn(kind="character varying")),
        *(
            (type_, None)
            for type_ in ("real", "vector[]", "integer[]", "tsvector", "bytea", "public.json_vector")
        ),
    ],
)
def test_a_type_of_postgresql_is_read(type_: str, column: VectorColumn | None) -> None:
    """As ``format_type`` writes it, with the size that a constraint of ours demands behind an array."""
    assert VectorColumn.parse(type_) == column


def test_fields_are_laid_out_as_documented() -> None:
    """One worked example of each: a length, then what the type's function for receiving reads."""
    raw = b"[1, -2]"
    fields = {
        kind: VectorColumn(kind=kind).encoder(2)(raw).hex(" ", -4)
        for kind in ("vector", "halfvec", "real[]", "jsonb")
    }

    assert fields == {
        "vector": "0000000c 00020000 3f800000 c0000000",
        "halfvec": "00000008 00020000 3c00c000",
        "real[]": "00000024 00000001 00000000 000002bc 00000002 00000001 00000004 3f800000 00000004 c0000000",
        "jsonb": "00000007 015b312c 2d325d",
    }
