"""Vectors on their way into a store: JSON text as Google wrote it, turned into floats of the machine. No I/O.

``vector=768`` in a store's URL says how many numbers each vector has: then the column gets a type of that
size, and a row with another one is set aside. ``vector=halfvec:768`` asks PostgreSQL for 16 bits a number.
"""

from __future__ import annotations

import re
import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import orjson

from vertexq.errors import BadSettings
from vertexq.results import Row

MOST_NUMBERS = 16_000
"""As many as pgvector keeps (https://github.com/pgvector/pgvector, "Vector Type")."""

_OPTION = re.compile(r"(?:(vector|halfvec):)?([0-9]{1,5})")


class UnfitVector(ValueError):
    """A vector that a store cannot hold; the text says why and holds none of its numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """What all vectors of a store have: how many numbers, and whether each has 16 bits instead of 32."""

    dimensions: int
    half: bool = False

    @classmethod
    def parse(cls, text: str, *, halves: bool = False) -> Vector:
        """Read the value of ``vector=``; ``halves`` where the store knows them. Raise ``BadSettings``."""
        found = _OPTION.fullmatch(text)
        if found is None or not 1 <= int(found[2]) <= MOST_NUMBERS:
            raise BadSettings(
                f"vector={text[:40]} is no size in a store's URL; write how many numbers each vector has, "
                f"from 1 to {MOST_NUMBERS:,}, such as vector=768"
            )
        half = found[1] == "halfvec"
        if half and not halves:
            raise BadSettings(f"vector={text[:40]}: only PostgreSQL has halfvec; write vector={found[2]}")
        return cls(dimensions=int(found[2]), half=half)


def numbers_of(raw: bytes, dimensions: int | None = None) -> list[float]:
    """Read a vector's numbers, ``dimensions`` of them when given; raise ``UnfitVector``."""
    try:
        numbers: list[float] = orjson.loads(raw)
    except orjson.JSONDecodeError:
        numbers = []
    if not numbers or type(numbers) is not list:
        raise UnfitVector("embedding is no list of numbers")
    if dimensions is not None and len(numbers) != dimensions:
        raise UnfitVector(f"embedding has {len(numbers)} numbers, the store's have {dimensions}")
    return numbers


def packed(raw: bytes, form: str = "<f", dimensions: int | None = None) -> bytes:
    """Write a vector's numbers side by side, ``form`` being ``struct``'s word for one with its byte order.

    Raise ``UnfitVector`` for another number of them, or one that is too large.
    """
    numbers = numbers_of(raw, dimensions)
    try:
        return _layout(form, len(numbers)).pack(*numbers)
    except (OverflowError, struct.error):  # an integer that is too large is a struct.error, too
        if {type(number) for number in numbers} - {int, float}:
            raise UnfitVector("embedding is no list of numbers") from None
        bits = 8 * struct.calcsize(form)
        raise UnfitVector(f"embedding holds a number too large for {bits} bits") from None


def unpacked(data: bytes) -> list[float]:
    """Read 32-bit floats, little-endian; raise ``ValueError`` for a length that cannot be."""
    numbers = array("f")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def misfit(rows: Iterable[Row], vector: Vector | None, *, wide: bool = False) -> str:
    """Say why the vector of one of ``rows`` does not fit; "" when all do.

    Stores with ``wide`` numbers keep 64 bits of each, or their text, or say themselves what is too large.
    """
    form = "<d" if wide else "<e" if vector and vector.half else "<f"
    for row in rows:
        if row.embedding is not None:
            try:
                packed(row.embedding, form, vector.dimensions if vector else None)
            except UnfitVector as unfit:
                return str(unfit)
    return ""


def check_lengths(rows: Iterable[Row], vector: Vector | None) -> None:
    """Raise ``UnfitVector`` for a vector of another length than all have; cheaper than to read them."""
    if vector is None:
        return
    for row in rows:
        if row.embedding is not None and row.embedding.count(b",") + 1 != vector.dimensions:
            numbers_of(row.embedding, vector.dimensions)


def compact(raw: bytes) -> bytes:
    """Return the same numbers without white space."""
    return raw.translate(None, b" \t\r\n")


@lru_cache(maxsize=16)  # a store has vectors of one length, or of few
def _layout(form: str, numbers: int) -> struct.Struct:
    return struct.Struct(f"{form[0]}{numbers}{form[1]}")
