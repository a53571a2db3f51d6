"""What a model family adds to the check: pure functions over one field of a request. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from vertexq.check.faults import Flaw


class Weight(NamedTuple):
    """What a field of a request weighs: text to read, other input, and the longest answer it allows."""

    text_bytes: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def nothing(_fields: Mapping[str, bytes]) -> Iterator[Flaw]:
    """Yield nothing."""
    return iter(())


def unmended(_name: str, value: Any) -> tuple[Any, tuple[str, ...]]:
    """Repair nothing: no harmless defects of such requests are known."""
    return value, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRules:
    """A family's rules.

    ``varying`` is the field that differs from row to row, ``plain`` its usual forms with ``MARK`` for the
    text, which may then be any text; the first is what a prompt becomes. There may be none.
    ``check`` yields what is wrong with a field's value, ``check_names`` what is wrong with the names of all
    fields together, ``weigh`` says what a field weighs. ``mend`` returns a field's value with its harmless
    defects repaired (None: the field is left out), and the kinds of repairs; it may change what it is given.
    ``imported`` says that Google loads the lines into a table first, whose rules on names, depth and types
    hold then. ``check_others`` yields what is wrong with the values of all fields but ``varying`` together,
    each as JSON. A row may be nothing but a text under the name ``text_field``; with ``needs_text`` a blank
    text is a flaw, also in a plain form.
    """

    varying: str
    plain: tuple[Any, ...]
    check: Callable[[str, object], Iterator[Flaw]]
    check_names: Callable[[Collection[str]], Iterator[Flaw]]
    weigh: Callable[[str, object], Weight]
    mend: Callable[[str, Any], tuple[Any, tuple[str, ...]]] = unmended
    imported: bool = True
    check_others: Callable[[Mapping[str, bytes]], Iterator[Flaw]] = nothing
    text_field: str = "prompt"
    needs_text: bool = False
