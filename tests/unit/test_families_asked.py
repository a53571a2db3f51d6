"""What differs from family to family is asked of the family: nothing else goes by a family's name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from vertexq.families import FAMILIES, Family
from vertexq.rows import ReadContext, Unreadable

LIBRARY = Path(__file__).resolve().parents[2] / "src" / "vertexq"
NAMED_IN = ("families/", "simulator/", "ledger/values.py", "ledger/schema.py", "ledger/migrations/")
"""Families themselves, the other side of the wire, and the default of a column that is older than they."""
MODULES = sorted(
    path for path in LIBRARY.rglob("*.py") if not path.relative_to(LIBRARY).as_posix().startswith(NAMED_IN)
)
NAMES = {family.name for family in FAMILIES}


def test_no_other_module_names_a_family() -> None:
    """A new family is one file: none of the steps, clients and commands has a word to learn."""
    named = {
        f"{path.relative_to(LIBRARY)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in NAMES
    }

    assert len(MODULES) > 100
    assert not named


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_reader_says_why_a_line_cannot_be_read(family: Family) -> None:
    """The sentences are the same for all families, and quote nothing."""
    context = ReadContext(
        submission_id="s", batch_id="b", attempt=1, rows=1, source_object="o", source_generation=1
    )
    read = family.reading(context)

    for line, why in ((b"{secret", "the line is not valid JSON"), (b"[7]", "the line has an unknown shape")):
        with pytest.raises(Unreadable, match=why) as error:
            read(line)
        assert "secret" not in str(error.value)
