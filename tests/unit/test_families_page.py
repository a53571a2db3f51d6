"""The table of families in the docs: a row for each, and a test that exists behind every cell."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from vertexq.families import FAMILIES, Family

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "families.md").read_text()
LINKS = dict(re.findall(r"^\[([\w-]+)\]: \.\./(tests/\S+)$", PAGE, re.MULTILINE))
ROWS = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}


def cells(line: str) -> list[str]:
    """Return the cells of a row, the family's name left out."""
    return [cell.strip() for cell in line.strip("|").split(" | ")][1:]


def test_every_family_has_its_row() -> None:
    """In the order in which models are told apart, or any other; none is missing, and none is made up."""
    assert set(ROWS) == {family.name for family in FAMILIES}


@pytest.mark.parametrize("link", LINKS.values())
def test_every_link_leads_to_a_test(link: str) -> None:
    """The file is there and has a function of that name."""
    file, _, name = link.partition("#")

    tree = ast.parse((ROOT / file).read_text())

    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in found


@pytest.mark.parametrize("name", ROWS)
def test_every_cell_has_a_test(name: str) -> None:
    """What nobody shows is not in the table."""
    shown = [set(re.findall(r"\]\[([\w-]+)\]", cell)) for cell in cells(ROWS[name])]

    assert len(shown) == 7
    assert all(shown)
    assert set().union(*shown) <= set(LINKS)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_page_says_what_the_families_say(family: Family) -> None:
    """Rows a job, jobs at once and tables are those of the code."""
    _, source, written, takes, at_once, *_ = cells(ROWS[family.name])

    assert f"{family.rows_limit:,} " in takes or ("as Gemini" in takes and family.rows_limit == 200_000)
    assert at_once.startswith(f"[{family.slots or 'the setting'}]")
    assert ("[bq]" in source and "[bq]" in written) == (family.tables is not None)
    assert ("[resume]" in ROWS[family.name]) == family.resumes
