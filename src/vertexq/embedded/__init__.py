"""Servers from packages, run under our own supervision: Valkey and PostgreSQL."""

from __future__ import annotations

from vertexq.embedded.postgres import Postgres
from vertexq.embedded.valkey import Valkey

__all__ = ["Postgres", "Valkey"]
