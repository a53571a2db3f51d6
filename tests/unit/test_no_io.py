"""Modules that say that they do no I/O are held to it by the import contract."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

from worker.stack import ROOT

TYPES_ONLY = {
    "vertexq.ledger.convert",
    "vertexq.ledger.prose",
    "vertexq.settings.faults",
    "vertexq.simulator.vertex.replies",
}
"""They make values of types that a library with I/O has, or judge what another module has read."""


def test_what_says_that_it_does_no_io_is_in_the_contract() -> None:
    """A docstring is believed by readers; import-linter believes nobody."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (held,) = (one["source_modules"] for one in contracts if one["name"] == "Decisions do no I/O")

    saying = {name for name, about in _modules() if "no i/o" in about.lower()}

    assert {
        name for name in saying if not any(f"{name}.".startswith(f"{one}.") for one in held)
    } == TYPES_ONLY


def _modules() -> list[tuple[str, str]]:
    root = ROOT / "src"
    return [(_name(path.relative_to(root)), _about(path)) for path in root.rglob("*.py")]


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _about(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""
