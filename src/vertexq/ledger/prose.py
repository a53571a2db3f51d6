"""Text from outside in a column: what no database can hold is replaced. No I/O."""

from __future__ import annotations

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator


class Prose(TypeDecorator[str]):
    """Words for people, perhaps Google's: a NUL or half a character must not stop a move."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Write ``?`` for half a character and the replacement character for NUL."""
        del dialect
        if value is None:
            return None
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
