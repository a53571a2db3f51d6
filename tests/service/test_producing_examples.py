"""docs/producing.md: every example on the page runs, against a whole vertexq with a simulated Google."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fundamentals.house import built
from vertexq.ledger import Ledger
from vertexq.simulator.timing import Timing

PAGE = Path(__file__).parents[2] / "docs" / "producing.md"
SECTIONS = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
EXAMPLES = [
    pytest.param(block, id=f"{section.splitlines()[0]} {number}")
    for section in SECTIONS
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL), start=1)
    if "psycopg" not in block
]
(TRANSACTION,) = [
    block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "psycopg" in block
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run a whole vertexq on a thread of its own, until the tests of this module are over."""
    home, ready, over = tmp_path_factory.mktemp("home"), threading.Event(), threading.Event()

    async def work() -> None:
        async with built(home, Timing.fast()) as house:
            ready.set()
            while not over.is_set():
                await house.step()
                if not house.letters.waiting:
                    await asyncio.to_thread(over.wait, 0.02)

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    ready.wait(30)
    yield home
    over.set()
    thread.join()


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_runs(
    example: str,
    home: Path,
    tmp_path: Path,
    valkey_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As it stands, with nothing but the environment."""
    monkeypatch.setenv("VERTEXQ_LEDGER_URL", f"sqlite:///{home}/ledger.db")
    monkeypatch.setenv("VERTEXQ_STORE_RESULTS", f"sqlite:///{home}/results.db")
    monkeypatch.setenv("VERTEXQ_BROKER_URL", valkey_url)
    monkeypatch.chdir(tmp_path)

    exec(compile(example, "producing.md", "exec"), {"__name__": "__main__"})  # noqa: S102

    assert "a person must decide" not in capsys.readouterr().out


def test_the_example_with_a_transaction_commits_both_or_neither(
    postgres_url: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's row and the submission are there together; a block that fails leaves neither."""
    monkeypatch.setenv("VERTEXQ_LEDGER_URL", postgres_url)
    monkeypatch.setenv("VERTEXQ_BROKER_URL", valkey_url)
    ledger = Ledger.open(postgres_url)
    failing = TRANSACTION.replace("VALUES ('7', %s)", "VALUES (no_such_thing, %s)")

    with pytest.raises(Exception, match="no_such_thing"):
        exec(compile(failing, "producing.md", "exec"), {})  # noqa: S102
    before = ledger.submissions()
    exec(compile(TRANSACTION, "producing.md", "exec"), {})  # noqa: S102
    after = ledger.submissions()
    ledger.close()

    assert (len(before), len(after)) == (0, 1)
