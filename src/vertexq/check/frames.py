"""Lines that differ from one before in their key and one text only: known by the bytes around these. No I/O.

Most files are written by one program with one frame for its prompts. Such a line is one that has been
checked, with another key and another text in it, so nothing else of it needs to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import msgspec
from orjson import JSONDecodeError, loads

from vertexq.check.lines import QuickLines
from vertexq.check.plain_text import as_written
from vertexq.check.rows import BYTES_PER_TOKEN, Checked
from vertexq.keys import DIGEST_BYTES, KEY_LIMIT_BYTES

_FRAMES_MOST = 16
_LEARN_ONE_IN = 25  # rows; learning one costs as much as reading twenty
_LEARN_AT_FIRST = 50
MARK = b"vertexq-mark-8f2c"


class LineFrame:
    """A line without its key and its text; ``head`` is empty for lines without a key.

    ``checked`` is the row with an empty text. ``rows``, ``input_tokens`` and ``group`` are for who counts.
    """

    __slots__ = (
        *("head", "middle", "suffix", "checked", "rows", "input_tokens", "group"),
        *("_needs_words", "_before", "_after", "_state", "_canonical_after"),
    )

    def __init__(
        self, head: bytes, middle: bytes, suffix: bytes, marked: Checked, *, needs_words: bool
    ) -> None:
        self.head = head
        self.middle = middle
        self.suffix = suffix
        self.checked = marked._replace(text_bytes=marked.text_bytes - len(MARK))
        self.rows = 0
        self.input_tokens = 0
        self.group = 0
        self._needs_words = needs_words
        self._before, self._after = marked.request.split(MARK)
        canonical_before, self._canonical_after = marked.canonical.split(MARK)
        self._state = blake2b(canonical_before, digest_size=DIGEST_BYTES)

    def fit(self, lines: Iterable[bytes]) -> list[Fit]:
        """Return what the lines hold, up to the first that does not fit or is in doubt.

        This is the hot path of the check: one loop over local names.
        """
        head, middle, suffix, needs_words = self.head, self.middle, self.suffix, self._needs_words
        head_bytes, middle_bytes, suffix_bytes = len(head), len(middle), len(suffix)
        base, media_tokens = self.checked.text_bytes, self.checked.media_tokens
        found: list[Fit] = []
        key: str | None = None
        key_ends = 0
        for line in lines:
            if not (line.endswith(suffix) and line.startswith(head)):
                break
            if head_bytes:
                key_ends = line.find(b'"', head_bytes)
                key = _key(line[head_bytes:key_ends])
                if key is None:
                    break
            begins, ends = key_ends + middle_bytes, len(line) - suffix_bytes
            if begins > ends or not line.startswith(middle, key_ends):
                break
            quoted = line[begins - 1 : ends + 1]
            try:
                text = loads(quoted)
            except JSONDecodeError:
                break
            size = len(text) if text.isascii() else len(text.encode())
            if b"\\" in quoted and not (quoted := as_written(text)):
                break
            if needs_words and not (quoted[1:2].isalnum() or text.strip()):
                break
            found.append((key, quoted[1:-1], -(-(base + size) // BYTES_PER_TOKEN) + media_tokens))
        return found

    def requests(self, found: Iterable[Fit]) -> list[tuple[bytes, bytes]]:
        """Return (fingerprint, request as it is sent) for the texts found."""
        begun, before, after, canonical_after = (
            self._state.copy,
            self._before,
            self._after,
            self._canonical_after,
        )
        made: list[tuple[bytes, bytes]] = []
        for _, body, _ in found:
            state = begun()
            state.update(body + canonical_after)
            made.append((state.digest(), before + body + after))
        return made


Fit = tuple[str | None, bytes, int]
"""What a line in a frame holds: its key (None without one), its text as it is sent, its input tokens."""


class LineFrames:
    """Remembers the last frames; ``find`` puts a line into one of them."""

    def __init__(self, lines: QuickLines, *, key_field: str) -> None:
        self._lines = lines
        name = msgspec.json.encode(key_field)
        self._heads = (b'{%b:"' % name, b'{%b: "' % name)
        self.frames: list[LineFrame] = []  # the last used first
        self.dropped: list[LineFrame] = []  # for who counts
        self._learnt = 0
        self._missed = 0

    def fit(self, lines: Sequence[bytes]) -> tuple[LineFrame, list[Fit]] | None:
        """Return the frame of the first of some lines, and what it and those after it hold."""
        first = lines[0]
        for at, frame in enumerate(self.frames):
            if first.endswith(frame.suffix):
                found = frame.fit(lines)
                if found:
                    if at:
                        self.frames.insert(0, self.frames.pop(at))
                    return frame, found
        return None

    def learn(self, line: bytes, key: bytes, *, group: int = 0) -> None:
        """Take the frame of a line that was found good, with its key as JSON and the group it is in."""
        self._missed += 1
        if self._missed < (self._learnt - _LEARN_AT_FIRST) * _LEARN_ONE_IN:
            return
        self._learnt += 1
        frame = self._frame(line, key)
        if frame is not None:
            frame.group = group
            self.frames.insert(0, frame)
            self.dropped += self.frames[_FRAMES_MOST:]
            del self.frames[_FRAMES_MOST:]

    def _frame(self, line: bytes, key: bytes) -> LineFrame | None:
        inside = self._lines.text_of(line)
        if inside is None:
            return None
        begins, ends, is_prompt = inside
        if not key:
            return self._proved(b"", line[:begins], line[ends:], needs_words=is_prompt)
        head = next((head for head in self._heads if line.startswith(head)), b"")
        key_ends = len(head) + len(key) - 2
        if not head or begins < key_ends or line[len(head) - 1 : key_ends + 1] != key:
            return None
        return self._proved(head, line[key_ends:begins], line[ends:], needs_words=is_prompt)

    def _proved(self, head: bytes, middle: bytes, suffix: bytes, *, needs_words: bool) -> LineFrame | None:
        """Return the frame, once a line with a mark for its key and its text has been found good as well."""
        key = MARK if head else b""
        found = self._lines.read(b"%b%b%b%b%b" % (head, key, middle, MARK, suffix))
        if found is None or found[0] != (b'"%b"' % key if key else b""):
            return None
        marked = found[1]
        if marked.request.count(MARK) != 1 or marked.canonical.count(MARK) != 1:
            return None
        needs_words = needs_words or self._lines.needs_text
        return LineFrame(head, middle, suffix, marked, needs_words=needs_words)


def _key(written: bytes) -> str | None:
    """Return a key that needs no second look; None for every other."""
    if written.isascii() and written and b"\\" not in written and len(written) <= KEY_LIMIT_BYTES:
        key = written.decode()
        return key if key.isprintable() else None
    return None
