"""The types a column of vectors may have in PostgreSQL, and how each is written in a binary COPY. No I/O.

Arrays: ``array_send`` of PostgreSQL (src/backend/utils/adt/arrayfuncs.c): how many dimensions, whether there
are nulls, the type of the elements, then of the one dimension how many elements and the first index, all in
32 bits; then each element behind its length. ``vector`` and ``halfvec``: ``vector_send`` and ``halfvec_send``
of pgvector 0.8 (src/vector.c, src/halfvec.c): how many numbers and a zero, in 16 bits each, then the numbers.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from struct import Struct

from vertexq.stores.vectors import Vector, compact, numbers_of, packed

EXTENSION = "vector"
"""pgvector's name."""

ARRAY = "real[]"

_TYPE = re.compile(
    r'(?:(?:"(?:[^"]|"")+"|\w+)\.)?(vector|halfvec|real|double precision)(\[\])?(?:\(([0-9]+)\))?'
)
_TEXTS = ("json", "jsonb", "text", "character varying")
_ELEMENTS = {"real[]": (700, ">f"), "double precision[]": (701, ">d")}
"""The elements' type (src/include/catalog/pg_type.dat) and ``struct``'s word for one."""

_size = Struct(">i").pack
_head = Struct(">HH").pack

Encode = Callable[[bytes], bytes]
"""Makes a whole field of a vector's JSON text; raises ``UnfitVector``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorColumn:
    """What a column of vectors is: ``kind`` without size and schema; ``dimensions`` None when any will do."""

    kind: str
    dimensions: int | None = None

    @classmethod
    def parse(cls, type_: str) -> VectorColumn | None:
        """Read a type as PostgreSQL writes it; None for one that cannot hold vectors.

        Behind that of an array the size stands which a constraint of ours demands: ``real[](768)``.
        """
        found = _TYPE.fullmatch(type_)
        if found is None:
            bare = type_.partition("(")[0]
            return cls(kind=bare) if bare in _TEXTS else None
        if (found[1] in {"vector", "halfvec"}) == bool(found[2]):
            return None
        return cls(kind=f"{found[1]}{found[2] or ''}", dimensions=int(found[3]) if found[3] else None)

    @property
    def is_text(self) -> bool:
        """Tell whether it holds the vectors as JSON."""
        return self.kind in _TEXTS

    def encoder(self, dimensions: int | None) -> Encode:
        """Return how a vector of ``dimensions`` numbers, None for any, is written into the column."""
        known = dimensions or self.dimensions
        if self.is_text:
            return partial(_text, head=b"\x01" * (self.kind == "jsonb"), dimensions=known)
        if self.kind in _ELEMENTS:
            element, form = _ELEMENTS[self.kind]
            return partial(_array, element=element, form=form, dimensions=known)
        return partial(_vector, form=">e" if self.kind == "halfvec" else ">f", dimensions=known)


def type_sql(vector: Vector, schema: str) -> str:
    """Return the type of a column of such vectors; ``schema`` is pgvector's."""
    return f'"{schema}".{kind_of(vector)}({vector.dimensions})'


def kind_of(vector: Vector) -> str:
    """Return pgvector's name for the type of such vectors."""
    return "halfvec" if vector.half else "vector"


def check_sql(name: str, vector: Vector | None) -> str:
    """Return the constraint of the array called ``name`` whose length must be that of ``vector``."""
    if vector is None:
        return ""
    size = vector.dimensions
    return f' CONSTRAINT "{name[:40]}_has_{size}_numbers" CHECK (cardinality("{name}") = {size})'


def _vector(raw: bytes, *, form: str, dimensions: int | None) -> bytes:
    numbers = packed(raw, form, dimensions)
    count = len(numbers) // (2 if form == ">e" else 4)
    return _size(4 + len(numbers)) + _head(count, 0) + numbers


def _array(raw: bytes, *, element: int, form: str, dimensions: int | None) -> bytes:
    numbers = array("I", packed(raw, form, dimensions))
    words = 2 if form == ">d" else 1  # of 32 bits, of which each number has so many
    field = array("I", _array_frame(len(numbers) // words, element, words))
    for word in range(words):
        field[_HEAD_WORDS + 1 + word :: 1 + words] = numbers[word::words]
    return field.tobytes()


_HEAD_WORDS = 6


@lru_cache(maxsize=16)
def _array_frame(numbers: int, element: int, words: int) -> bytes:
    """Return a field of an array with all but the numbers themselves."""
    each = Struct(">i").pack(4 * words) + bytes(4 * words)
    body = Struct(">5i").pack(1, 0, element, numbers, 1) + each * numbers
    return _size(len(body)) + body


def _text(raw: bytes, *, head: bytes, dimensions: int | None) -> bytes:
    if dimensions is not None:
        numbers_of(raw, dimensions)
    text = head + compact(raw)
    return _size(len(text)) + text
