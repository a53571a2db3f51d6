"""The index of buckets and objects: one SQLite file, so that memory stays flat and a restart keeps it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vertexq.simulator.objects import About, Bucket, StoredObject, micros

_PAGE_ROWS = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, location TEXT NOT NULL, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, crc32c TEXT NOT NULL, md5 TEXT NOT NULL, components INTEGER NOT NULL,
    about TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
"""
_Row = tuple[Any, ...]  # what sqlite3 gives


class Index:
    """Names to objects, ordered by the bytes of their UTF-8; used from one thread.

    It is a stand-in's index: a crash of the process loses nothing, a crash of the machine may.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add_bucket(self, bucket: Bucket) -> None:
        """Add a bucket; one that is there stays as it is."""
        row = (bucket.name, bucket.location, micros(bucket.created))
        self._db.execute("INSERT OR IGNORE INTO buckets VALUES (?, ?, ?)", row)

    def bucket(self, name: str) -> Bucket | None:
        """Return a bucket, None when there is none."""
        row = self._db.execute("SELECT * FROM buckets WHERE name = ?", (name,)).fetchone()
        return _bucket(row) if row else None

    def buckets(self) -> list[Bucket]:
        """Return all buckets by name."""
        return [_bucket(row) for row in self._db.execute("SELECT * FROM buckets ORDER BY name")]

    def drop_bucket(self, name: str) -> None:
        """Remove a bucket."""
        self._db.execute("DELETE FROM buckets WHERE name = ?", (name,))

    def newest_generation(self) -> int:
        """Return the highest generation in the index, 0 for an empty one."""
        (newest,) = self._db.execute("SELECT coalesce(max(generation), 0) FROM objects").fetchone()
        return int(newest)

    def object(self, bucket: str, name: str) -> StoredObject | None:
        """Return the live generation of an object, None when there is none."""
        sql = "SELECT * FROM objects WHERE bucket = ? AND name = ?"
        row = self._db.execute(sql, (bucket, name)).fetchone()
        return _object(row) if row else None

    def put(self, stored: StoredObject) -> None:
        """Make ``stored`` the live generation of its name."""
        about = json.dumps({"texts": dict(stored.about.texts), "metadata": dict(stored.about.metadata)})
        row = (
            *(stored.bucket, stored.name, stored.generation, stored.metageneration, stored.size_bytes),
            *(stored.crc32c, stored.md5, stored.components, about),
            *(micros(stored.created), micros(stored.updated), stored.file),
        )
        self._db.execute(f"INSERT OR REPLACE INTO objects VALUES ({', '.join('?' * len(row))})", row)

    def drop(self, bucket: str, name: str) -> None:
        """Remove an object."""
        self._db.execute("DELETE FROM objects WHERE bucket = ? AND name = ?", (bucket, name))

    def walk(self, bucket: str, *, start: str, after: bool, end: str = "") -> Iterator[StoredObject]:
        """Yield objects from ``start`` on (``after``: without itself), below ``end`` when it is given."""
        while True:
            rows = self._page(bucket, start=start, after=after, end=end)
            yield from (_object(row) for row in rows)
            if len(rows) < _PAGE_ROWS:
                return
            start, after = str(rows[-1][1]), True

    def _page(self, bucket: str, *, start: str, after: bool, end: str) -> list[_Row]:
        sql = f"SELECT * FROM objects WHERE bucket = ? AND name {'>' if after else '>='} ?"
        bounds: tuple[str, ...] = (bucket, start)
        if end:
            sql, bounds = f"{sql} AND name < ?", (*bounds, end)
        return self._db.execute(f"{sql} ORDER BY name LIMIT {_PAGE_ROWS}", bounds).fetchall()


def _bucket(row: _Row) -> Bucket:
    name, location, created = row
    return Bucket(name=name, location=location, created=_instant(created))


def _object(row: _Row) -> StoredObject:
    bucket, name, generation, metageneration, size_bytes, crc32c, md5, components, about, *rest = row
    created, updated, file = rest
    said = json.loads(about)
    return StoredObject(
        bucket=bucket,
        name=name,
        generation=generation,
        metageneration=metageneration,
        size_bytes=size_bytes,
        crc32c=crc32c,
        md5=md5,
        components=components,
        about=About(texts=said["texts"], metadata=said["metadata"]),
        created=_instant(created),
        updated=_instant(updated),
        file=file,
    )


def _instant(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, tz=UTC)
