"""What a database says becomes an error of ours, and never carries a statement, its values or a password."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from vertexq.errors import BadInput, Conflict, Unreachable, VertexqError
from vertexq.ledger.translation import translated

ENGINE = create_engine("postgresql+psycopg://user:hunter2@db.example/vertexq?password=hunter2")
SAID = "something went wrong\nDETAIL: Key (text)=(a prompt)"
OTHERS: dict[str, type[VertexqError]] = {"DataError": BadInput, "IntegrityError": Conflict}


def _kinds(kind: type[DBAPIError] = DBAPIError) -> Iterator[type[DBAPIError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


@pytest.mark.parametrize("kind", list(_kinds()), ids=lambda kind: kind.__name__)
def test_every_error_of_a_driver_is_one_of_ours(kind: type[DBAPIError]) -> None:
    """A new kind of error is caught here as well, because the kinds are taken from SQLAlchemy."""
    error = kind("INSERT INTO spool", {"data": "a prompt"}, Exception(SAID), hide_parameters=True)

    with (
        pytest.raises(OTHERS.get(kind.__name__, Unreachable), match="something went wrong") as raised,
        translated(ENGINE),
    ):
        raise error

    said = str(raised.value)
    assert "db.example" in said
    assert not any(secret in said for secret in ("hunter2", "prompt", "INSERT"))
    assert "prompt" not in str(error).replace(SAID, "")


def test_a_pool_without_a_free_connection_is_unreachable() -> None:
    """The message says what to do."""
    with pytest.raises(Unreachable, match="use fewer threads"), translated(ENGINE):
        raise PoolTimeout


def test_a_value_that_a_column_refuses_is_a_mistake_of_ours() -> None:
    """It comes out as it was raised, without the statement around it."""
    with pytest.raises(ValueError, match="no time zone"), translated(ENGINE):
        raise StatementError("wrapped", "UPDATE", {}, ValueError("no time zone"))
