"""Objects made from objects: compose, rewrite and copy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import BinaryIO, cast

from vertexq.errors import Refused
from vertexq.simulator.objects import About, Json, StoredObject, about_from, check_name
from vertexq.simulator.storage.conditions import Conditions, conditions_from, whole_number
from vertexq.simulator.storage.objects import ObjectStore
from vertexq.simulator.storage.staging import CHUNK_BYTES, Staged

_MOST_SOURCES = 32  # https://docs.cloud.google.com/storage/docs/composite-objects (read 2026-11)


async def compose(
    store: ObjectStore, *, bucket: str, name: str, body: Json, conditions: Conditions
) -> StoredObject:
    """Join up to 32 objects of a bucket into one; raise for a bad list, a missing source, a condition."""
    sources = [_source(store, bucket, asked) for asked in _asked_sources(body)]
    destination = body.get("destination")
    about = about_from(cast("Json", destination)) if isinstance(destination, Mapping) else About()
    conditions.check(store.find(bucket, check_name(name)))
    components = sum(source.components or 1 for source in sources)
    contents = [store.open(source) for source in sources]
    staged = store.stage()
    try:
        await asyncio.to_thread(_join, staged, contents)
        joined = store.publish(
            staged, bucket=bucket, name=name, about=about, conditions=conditions, components=components
        )
    finally:
        staged.discard()
        for content in contents:
            content.close()
    if body.get("deleteSourceObjects") is True:
        _delete_sources(store, sources, joined)
    return joined


def _asked_sources(body: Json) -> list[Json]:
    asked = body.get("sourceObjects")
    sources = cast("list[object]", asked) if isinstance(asked, list) else []
    if not sources or not all(isinstance(source, Mapping) for source in sources):
        raise Refused("You must provide at least one source component.", status=400, code="required")
    if len(sources) > _MOST_SOURCES:
        raise Refused(
            f"The number of source components provided ({len(sources)}) exceeds the maximum "
            f"({_MOST_SOURCES}).",
            status=400,
            code="invalid",
        )
    return cast("list[Json]", sources)


def _source(store: ObjectStore, bucket: str, asked: Json) -> StoredObject:
    given = {"generation": str(asked["generation"])} if asked.get("generation") else {}
    found = store.get(bucket, str(asked.get("name", "")), generation=whole_number(given, "generation"))
    wanted = asked.get("objectPreconditions")
    if isinstance(wanted, Mapping):
        terms = {key: str(value) for key, value in cast("Json", wanted).items() if value is not None}
        conditions_from(terms).check(found)
    return found


def _join(staged: Staged, contents: list[BinaryIO]) -> None:
    for content in contents:
        while data := content.read(CHUNK_BYTES * 4):
            staged.write(data)


def _delete_sources(store: ObjectStore, sources: list[StoredObject], joined: StoredObject) -> None:
    for source in sources:
        if source.name != joined.name and store.find(source.bucket, source.name) == source:
            store.delete(source)


def rewrite(
    store: ObjectStore, source: StoredObject, *, bucket: str, name: str, body: Json, conditions: Conditions
) -> StoredObject:
    """Copy an object; a body replaces what is said of it, none keeps it."""
    about = about_from(body) if body else source.about
    return store.copy(source, bucket=bucket, name=name, about=about, conditions=conditions)


def rewrite_answer(copied: StoredObject, origin: str) -> Json:
    """Return what a rewrite answers; ours are always done in one call."""
    return {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(copied.size_bytes),
        "objectSize": str(copied.size_bytes),
        "done": True,
        "resource": copied.resource(origin),
    }
