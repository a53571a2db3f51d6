"""docs/cli.md: every command and every option is on the page, and the page names no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from vertexq.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^## `vertexq (\w+).*?$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))


def options() -> dict[str, set[str]]:
    """Return the long options of every command; a group's are those of its commands."""
    commands = typer.main.get_group(app).commands
    return {name: long_options(command) for name, command in commands.items()}


def long_options(command: Any) -> set[str]:
    """Return the long options of a command, or of all commands of a group."""
    below = getattr(command, "commands", {}).values()
    own = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    return own.union(*map(long_options, below))


def test_every_command_has_a_section() -> None:
    """And no section is about a command that is not there."""
    assert set(SECTIONS) == set(options())


@pytest.mark.parametrize("command", sorted(options()))
def test_every_option_of_a_command_is_in_its_section(command: str) -> None:
    """``--json`` is for all of them and explained once; ``--help`` explains itself."""
    heading = next(line for line in PAGE.splitlines() if line.startswith(f"## `vertexq {command}"))
    written = set(re.findall(r"--[a-z][a-z-]*", heading + SECTIONS[command]))

    assert options()[command] - {"--help", "--json"} <= written
    assert written <= {option for every in options().values() for option in every}
