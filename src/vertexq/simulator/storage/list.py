"""Listing objects: prefixes, delimiter, offsets, globs and pages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import cast

from vertexq.errors import Refused
from vertexq.simulator.objects import Json, StoredObject
from vertexq.simulator.storage.conditions import whole_number
from vertexq.simulator.storage.objects import ObjectStore

_PAGE_ENTRIES = 1000  # default and cap: https://docs.cloud.google.com/storage/docs/json_api/v1/objects/list
_LAST = "\U0010ffff"  # sorts behind every name that shares what stands before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a list call asks for; ``page_entries`` counts objects and prefixes together."""

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    glob: str = ""
    trailing: bool = False
    page_entries: int = _PAGE_ENTRIES
    after: str = ""


@dataclass(slots=True)
class Page:
    """One answer: objects, the prefixes that stand for many, and where the next page begins."""

    items: list[StoredObject] = field(default_factory=list[StoredObject])
    prefixes: list[str] = field(default_factory=list[str])
    next_after: str = ""

    def resource(self, origin: str) -> Json:
        """Return the page as the API shows it; empty parts are absent."""
        found: dict[str, object] = {"kind": "storage#objects"}
        if self.next_after:
            found["nextPageToken"] = base64.urlsafe_b64encode(self.next_after.encode()).decode()
        if self.prefixes:
            found["prefixes"] = self.prefixes
        if self.items:
            found["items"] = [item.resource(origin) for item in self.items]
        return found


def lagging(page: Page, note: str) -> Page:
    """Return a page as a list shows it that lags behind: ``empty-list``, or ``halved-list``.

    Cloud Storage promises that its lists do not lag; an export that is not finished looks the same.
    """
    kept = {"empty-list": [], "halved-list": page.items[::2]}.get(note, page.items)
    return replace(page, items=kept)


def listing_from(query: Mapping[str, str]) -> Listing:
    """Read the query of a list call; raise ``Refused`` (400) for a bad page size or token."""
    asked = whole_number(query, "maxResults")
    if asked is not None and asked < 1:
        raise Refused(f"Invalid value for maxResults: {asked}", status=400, code="invalid")
    return Listing(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        start=query.get("startOffset", ""),
        end=query.get("endOffset", ""),
        glob=query.get("matchGlob", ""),
        trailing=query.get("includeTrailingDelimiter", "") == "true",
        page_entries=min(asked or _PAGE_ENTRIES, _PAGE_ENTRIES),
        after=_read_token(query.get("pageToken", "")),
    )


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Refused(f"Invalid page token: {token!r}", status=400, code="invalid") from error


def list_page(store: ObjectStore, bucket: str, asked: Listing) -> Page:
    """Return the page that ``asked`` describes, in the order of the names' bytes."""
    page = Page()
    after = ""
    entries = _entries(store, bucket, asked)
    for entry in islice(entries, asked.page_entries):
        if isinstance(entry, str):
            page.prefixes.append(entry)
            after = entry + _LAST
        else:
            page.items.append(entry)
            after = entry.name
    page.next_after = after if next(entries, None) else ""
    return page


def _entries(store: ObjectStore, bucket: str, asked: Listing) -> Iterator[StoredObject | str]:
    """Yield objects, and prefixes as text, behind ``asked.after``."""
    start, after = max(asked.prefix, asked.start), False
    if asked.after >= start and asked.after:
        start, after = asked.after, True
    while group := (
        yield from _until_group(store.walk(bucket, start=start, after=after, end=asked.end), asked)
    ):
        yield group
        start, after = group + _LAST, True  # one look for each prefix, however many objects share it


def _until_group(walk: Iterator[StoredObject], asked: Listing) -> Generator[StoredObject | str, None, str]:
    """Yield objects up to the first that a prefix stands for; return that prefix, empty at the end."""
    fits = re.compile(glob_pattern(asked.glob), re.DOTALL) if asked.glob else None
    for stored in walk:
        if not stored.name.startswith(asked.prefix):
            break
        if fits and not fits.fullmatch(stored.name):
            continue
        group = _group(stored.name, asked)
        if not group or (asked.trailing and stored.name == group):
            yield stored
        if group:
            return group
    return ""


def _group(name: str, asked: Listing) -> str:
    """Return the prefix that stands for ``name``, empty when it is listed itself."""
    if not asked.delimiter:
        return ""
    at = name.find(asked.delimiter, len(asked.prefix))
    return name[: at + len(asked.delimiter)] if at >= 0 else ""


def glob_pattern(glob: str) -> str:
    """Return the regular expression of a ``matchGlob``: ``*`` and ``?`` stop at ``/``, ``**`` does not.

    The grammar: https://docs.cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
    (read 2026-11).
    """
    pattern, depth = "", 0
    for word in cast("list[str]", _GLOB_WORD.findall(glob)):
        depth += int(word == "{") - int(word == "}")
        pattern += _translate(word, inside=depth > 0)
    try:
        re.compile(pattern)
    except re.error as error:
        raise Refused(f"Invalid value for matchGlob: {glob!r}", status=400, code="invalid") from error
    return pattern


_GLOB_WORD = re.compile(r"\\.|\*\*|\[[^\]]+\]|.", re.DOTALL)
_GLOB_MEANS = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|"}


def _translate(word: str, *, inside: bool) -> str:
    """Translate one word of a glob; a comma separates only ``inside`` braces."""
    if word in _GLOB_MEANS and (inside or word != ","):
        return _GLOB_MEANS[word]
    if len(word) > 1 and word[0] == "[":
        members = word[1:-1].replace("\\", "\\\\")
        return f"[^{members[1:]}]" if members[0] in "!^" else f"[{members}]"
    return re.escape(word.removeprefix("\\") or word)
