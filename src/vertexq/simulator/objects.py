"""What the simulator stores: buckets and objects as values, and their JSON resources."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote

from vertexq.errors import Refused

Json = Mapping[str, object]

_TEXTS = ("contentType", "contentEncoding", "contentDisposition", "contentLanguage", "cacheControl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket; ``location`` is upper case, as Google answers it."""

    name: str
    location: str
    created: datetime

    def resource(self, origin: str) -> Json:
        """Return the bucket as the API shows it; ``origin`` is scheme, host and port."""
        return {
            "kind": "storage#bucket",
            "id": self.name,
            "name": self.name,
            "selfLink": f"{origin}/storage/v1/b/{self.name}",
            "projectNumber": "1",
            "location": self.location,
            "locationType": "multi-region" if "-" not in self.location else "region",
            "storageClass": "STANDARD",
            "metageneration": "1",
            "generation": str(micros(self.created)),
            "etag": "CAE=",
            "timeCreated": stamp(self.created),
            "updated": stamp(self.created),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the owner of an object says of it; ``texts`` holds contentType and its like."""

    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    def patched(self, change: Json) -> About:
        """Return this with ``change`` merged in, as PATCH does: null removes, metadata merges by key."""
        texts = {name: change.get(name, self.texts.get(name)) for name in _TEXTS}
        wanted = change.get("metadata", {})
        merged = {**self.metadata, **cast("Json", wanted)} if isinstance(wanted, Mapping) else {}
        return About(texts=_kept(texts), metadata=_kept(merged))


def about_from(resource: Json) -> About:
    """Read what an upload or a rewrite says of its object; unknown fields are ignored."""
    if not isinstance(resource.get("metadata") or {}, Mapping):
        raise Refused("Invalid value for metadata: expected an object", status=400, code="invalid")
    return About().patched({name: value for name, value in resource.items() if value is not None})


def _kept(values: Json) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None and value != ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One generation of an object; its bytes are in ``file`` and never change.

    ``crc32c`` and ``md5`` are base64 as the API has them; ``md5`` is empty for a composed object.
    """

    bucket: str
    name: str
    generation: int
    metageneration: int
    size_bytes: int
    crc32c: str
    md5: str
    components: int
    about: About
    created: datetime
    updated: datetime
    file: str

    @property
    def content_type(self) -> str:
        """The content type, with the default that Google serves."""
        return self.about.texts.get("contentType", "application/octet-stream")

    @property
    def content_encoding(self) -> str:
        """``gzip`` for an object stored compressed, usually empty."""
        return self.about.texts.get("contentEncoding", "")

    @property
    def etag(self) -> str:
        """A tag that changes with the content and with the metadata."""
        return base64.b64encode(f"{self.generation}/{self.metageneration}".encode()).decode()

    def resource(self, origin: str) -> Json:
        """Return the object as the API shows it: int64 as strings, links absolute below ``origin``."""
        path = f"b/{self.bucket}/o/{quote(self.name, safe='')}"
        resource: dict[str, object] = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{origin}/storage/v1/{path}",
            "mediaLink": f"{origin}/download/storage/v1/{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "storageClass": "STANDARD",
            "size": str(self.size_bytes),
            "crc32c": self.crc32c,
            "etag": self.etag,
            "timeCreated": stamp(self.created),
            "updated": stamp(self.updated),
            "timeStorageClassUpdated": stamp(self.created),
            "timeFinalized": stamp(self.created),
            **self.about.texts,
        }
        return resource | self._sometimes()

    def _sometimes(self) -> dict[str, object]:
        found: dict[str, object] = {}
        if self.md5:
            found["md5Hash"] = self.md5
        if self.components:
            found["componentCount"] = self.components
        if self.about.metadata:
            found["metadata"] = dict(self.about.metadata)
        return found


def stamp(at: datetime) -> str:
    """Return an instant as Cloud Storage writes it, with milliseconds and ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def micros(at: datetime) -> int:
    """Return an instant as microseconds since 1970, which is how generations look."""
    return int(at.timestamp() * 1_000_000)


def check_name(name: str) -> str:
    """Return ``name``, or raise ``Refused`` (400) for one that Cloud Storage does not take.

    The rules: https://docs.cloud.google.com/storage/docs/objects#naming (read 2026-11).
    """
    if not name:
        raise Refused("Required parameter: name", status=400, code="required")
    if len(name.encode()) > 1024 or "\n" in name or "\r" in name or name in {".", ".."}:  # noqa: PLR2004
        raise Refused(f"The specified object name {name!r} is not valid.", status=400, code="invalid")
    return name
