"""The object store behind the Cloud Storage surface: buckets, immutable generations, atomic publication."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from vertexq.errors import NotFound, Refused
from vertexq.simulator.objects import About, Bucket, StoredObject, check_name, micros
from vertexq.simulator.storage.conditions import ANY, Conditions
from vertexq.simulator.storage.index import Index
from vertexq.simulator.storage.staging import Hashes, Staged

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class ObjectStore:
    """Buckets and objects below ``home``. All methods return at once; those that change are atomic.

    A generation's bytes are one file that never changes. Replacing or deleting an object removes the name
    of the file; whoever has it open reads on to the end.
    """

    def __init__(self, home: Path) -> None:
        self._files = home / "objects"
        self._incoming = home / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)  # half uploads of an earlier process
        self._files.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(parents=True)
        self._index = Index(home / "index.db")
        self._generation = self._index.newest_generation()

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def create_bucket(self, name: str, *, location: str = "US") -> Bucket:
        """Create a bucket; raise ``Refused`` (400, 409) for a bad name or one that is taken."""
        if not _BUCKET_NAME.fullmatch(name):
            raise Refused(f"Invalid bucket name: '{name}'", status=400, code="invalid")
        if self._index.bucket(name):
            raise Refused(
                "Your previous request to create the named bucket succeeded and you already own it.",
                status=409,
                code="conflict",
            )
        bucket = Bucket(name=name, location=location.upper(), created=datetime.now(UTC))
        self._index.add_bucket(bucket)
        return bucket

    def bucket(self, name: str) -> Bucket:
        """Return a bucket; raise ``NotFound``."""
        bucket = self._index.bucket(name)
        if bucket is None:
            raise NotFound("The specified bucket does not exist.", status=404, code="notFound")
        return bucket

    def buckets(self) -> list[Bucket]:
        """Return all buckets by name."""
        return self._index.buckets()

    def drop_bucket(self, name: str) -> None:
        """Remove an empty bucket; raise ``NotFound`` or ``Refused`` (409)."""
        self.bucket(name)
        if next(self._index.walk(name, start="", after=False), None):
            raise Refused("The bucket you tried to delete is not empty.", status=409, code="conflict")
        self._index.drop_bucket(name)

    def find(self, bucket: str, name: str) -> StoredObject | None:
        """Return the live generation of an object, None when there is none; raise for a missing bucket."""
        self.bucket(bucket)
        return self._index.object(bucket, name)

    def get(self, bucket: str, name: str, *, generation: int | None = None) -> StoredObject:
        """Return an object; raise ``NotFound`` when it, or the ``generation`` asked for, is not there."""
        found = self.find(bucket, name)
        if found is None or generation not in {None, found.generation}:
            raise NotFound(f"No such object: {bucket}/{name}", status=404, code="notFound")
        return found

    def walk(self, bucket: str, *, start: str, after: bool, end: str) -> Iterator[StoredObject]:
        """Yield objects by name from ``start`` on; raise ``NotFound`` for a missing bucket."""
        self.bucket(bucket)
        return self._index.walk(bucket, start=start, after=after, end=end)

    def open(self, stored: StoredObject) -> BinaryIO:
        """Open the bytes of a generation."""
        return (self._files / stored.file).open("rb")

    def stage(self) -> Staged:
        """Return an empty file to fill."""
        return Staged(self._incoming / uuid.uuid4().hex)

    def publish(
        self,
        staged: Staged,
        *,
        bucket: str,
        name: str,
        about: About,
        conditions: Conditions = ANY,
        expected: Hashes | None = None,
        components: int = 0,
    ) -> StoredObject:
        """Make what was staged the new generation of a name, or nothing at all.

        Raise ``Refused`` (400) when its checksums are not the ``expected`` ones, ``PreconditionFailed``
        when the conditions do not hold at this moment; the staged file is then gone.
        """
        try:
            hashes = staged.seal()
            (expected or Hashes()).check(hashes)
            current = self.find(bucket, check_name(name))
            conditions.check(current)
            return self._place(staged, hashes, current, bucket, name, about, components)
        finally:
            staged.discard()

    def _place(
        self,
        staged: Staged,
        hashes: Hashes,
        current: StoredObject | None,
        bucket: str,
        name: str,
        about: About,
        components: int,
    ) -> StoredObject:
        now = datetime.now(UTC)
        generation = self._next_generation(now)
        stored = StoredObject(
            bucket=bucket,
            name=name,
            generation=generation,
            metageneration=1,
            size_bytes=staged.size_bytes,
            crc32c=hashes.crc32c,
            md5="" if components else hashes.md5,
            components=components,
            about=about,
            created=now,
            updated=now,
            file=str(generation),
        )
        staged.path.rename(self._files / stored.file)
        self._index.put(stored)
        self._remove_file(current)
        return stored

    def copy(
        self, source: StoredObject, *, bucket: str, name: str, about: About, conditions: Conditions
    ) -> StoredObject:
        """Make a new generation with the bytes of ``source``; they are shared, not read."""
        current = self.find(bucket, check_name(name))
        conditions.check(current)
        now = datetime.now(UTC)
        generation = self._next_generation(now)
        copied = replace(
            source,
            bucket=bucket,
            name=name,
            generation=generation,
            metageneration=1,
            about=about,
            created=now,
            updated=now,
            file=str(generation),
        )
        (self._files / copied.file).hardlink_to(self._files / source.file)
        self._index.put(copied)
        self._remove_file(current)
        return copied

    def describe(self, stored: StoredObject, about: About) -> StoredObject:
        """Change what is said of an object; its metageneration rises by one."""
        changed = replace(
            stored,
            about=about,
            metageneration=stored.metageneration + 1,
            updated=datetime.now(UTC),
        )
        self._index.put(changed)
        return changed

    def delete(self, stored: StoredObject) -> None:
        """Remove an object."""
        self._index.drop(stored.bucket, stored.name)
        self._remove_file(stored)

    def _remove_file(self, stored: StoredObject | None) -> None:
        if stored is not None:
            (self._files / stored.file).unlink(missing_ok=True)

    def _next_generation(self, now: datetime) -> int:
        self._generation = max(self._generation + 1, micros(now))
        return self._generation
