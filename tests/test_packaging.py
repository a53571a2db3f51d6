"""What a producer gets: the library alone, light to import, and never a package called config or tasks."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest
from hatchling.builders.wheel import WheelBuilder

from worker.stack import ROOT

APPLICATION = {"config", "tasks", "tests", "worker"}
HEAVY = (
    *("aiohttp", "google.auth", "pyarrow", "duckdb", "sqlglot", "psycopg", "zstandard", "jsonschema_rs"),
    *("sqlalchemy", "celery", "redis", "pydantic"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Build the wheel."""
    (built,) = WheelBuilder(str(ROOT)).build(
        directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"]
    )
    return zipfile.Path(built)


def test_the_wheel_holds_the_library_and_nothing_else(wheel: zipfile.Path) -> None:
    """Folders called config, tasks or worker would overwrite other people's, or be overwritten."""
    names = {entry.name for entry in wheel.iterdir()}

    assert names == {"vertexq", f"vertexq-{metadata.version('vertexq')}.dist-info"}
    assert (wheel / "vertexq" / "py.typed").exists()


def test_the_wheel_holds_what_the_code_reads(wheel: zipfile.Path) -> None:
    """Files that are no Python come along: prices, Lua scripts, migrations."""
    root = ROOT / "src" / "vertexq"
    read = [
        path.relative_to(root)
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in {".pyc", ".txt"}
    ]

    missing = [str(path) for path in read if not wheel.joinpath("vertexq", *path.parts).exists()]
    assert missing == []


@pytest.mark.parametrize("name", sorted(APPLICATION))
def test_no_installed_distribution_owns_a_name_of_ours(name: str) -> None:
    """In a worker's process our folders are on the path: nobody else's package may meet them there."""
    assert metadata.packages_distributions().get(name) is None


def test_importing_the_library_loads_nothing_heavy() -> None:
    """A producer's web process pays for what it uses, when it uses it."""
    code = f"import sys, json, vertexq; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert json.loads(found.stdout) == []


def test_constraints_hold_names_and_versions_only() -> None:
    """No address of a registry, no path of a machine."""
    for file in ROOT.glob("constraints*.txt"):
        for line in file.read_text().splitlines():
            name, separator, version = line.partition("==")
            assert separator, line
            assert name.replace("-", "").replace("_", "").replace(".", "").isalnum(), line
            assert "/" not in version, line
