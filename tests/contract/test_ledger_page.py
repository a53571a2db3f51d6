"""docs/ledger.md tells the truth: every table and column is on it, and its queries run."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import text

from vertexq.ledger import Ledger
from vertexq.ledger.migrate import VERSION_TABLE
from vertexq.ledger.schema import metadata

PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


def test_every_table_and_column_is_explained() -> None:
    """A column that is added is explained, or this fails."""
    explained = set(re.findall(r"`(\w+)`", PAGE))
    columns = {column.name for table in metadata.tables.values() for column in table.c}

    assert {*metadata.tables, VERSION_TABLE, *columns} - explained == set()


def test_the_queries_of_the_page_run(ledger: Ledger) -> None:
    """What a reader copies works on both kinds of database."""
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)
    queries = [query for query in block.split(";\n") if query.strip()]

    with ledger._reading() as connection:  # pyright: ignore[reportPrivateUsage]
        for query in queries:
            connection.execute(text(query)).all()

    assert len(queries) == 7
