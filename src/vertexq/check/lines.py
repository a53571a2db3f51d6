"""Lines read without decoding what repeats: the quick way from a line to its checked request. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from vertexq.check.rows import Checked, Requests

_NONE = msgspec.Raw()


class QuickLines:
    """Reads lines that hold a key and a request, or a key and a text, and nothing else.

    ``None`` says that the line must be read plainly: it has a flaw, is of another form, or is in doubt. The
    reader of fields sees neither bad UTF-8 nor a name that comes twice. The first is looked for; the second,
    and blanks, show in the length of the line, which is then more than the last value of each name needs.
    """

    def __init__(self, requests: Requests, *, key_field: str) -> None:
        self._requests = requests
        self._usable = key_field not in {"request", "prompt", "contents", requests.text_field}
        self.needs_text = requests.needs_text
        self._text_name = msgspec.json.encode(requests.text_field)
        self._name = msgspec.json.encode(key_field)
        row = msgspec.defstruct(
            "Row",
            [
                ("key", msgspec.Raw, _NONE),
                ("request", dict[str, msgspec.Raw] | msgspec.UnsetType, msgspec.UNSET),
                ("prompt", msgspec.Raw, _NONE),
            ],
            rename={"key": key_field, "prompt": requests.text_field} if self._usable else None,
            gc=False,
        )
        self._decode: Any = msgspec.json.Decoder(row).decode
        self._key_bytes = len(self._name) + len(b":,")

    def text_of(self, line: bytes) -> tuple[int, int, bool] | None:
        """Return where the inside of its one text seems to be in a line that ``read`` took: begin and end.

        And whether it is a prompt. None when the row is like no example.
        """
        row = self._decode(line)
        is_prompt = row.request is msgspec.UNSET
        field = bytes(row.prompt if is_prompt else row.request.get(self._requests.varying, b""))
        inside = (1, len(field) - 1) if is_prompt else self._requests.plain.body(field)
        at = line.find(field)
        return (at + inside[0], at + inside[1], is_prompt) if at >= 0 and inside else None

    def read(self, line: bytes) -> tuple[bytes, Checked] | None:
        """Return the key as JSON (empty when there is none) and the checked request."""
        if not self._usable:
            return None
        try:
            if not line.isascii():
                line.decode()
            row = self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        key, request = bytes(row.key), row.request
        if request is msgspec.UNSET:
            return self._of_prompt(line, key, bytes(row.prompt))
        found = self._requests.quick(request)
        if found is None:
            return None
        checked, size = found
        size += len(b'{"request":}') + (self._key_bytes + len(key) if key else 0)
        if size == len(line) or self._is_spaced(line, key, request):
            return key, checked
        return None

    def _of_prompt(self, line: bytes, key: bytes, prompt: bytes) -> tuple[bytes, Checked] | None:
        size = len(b"{:}") + len(self._text_name) + len(prompt) + (self._key_bytes + len(key) if key else 0)
        if size != len(line) and line not in self._spaced(key, self._text_name + b": " + prompt):
            return None
        checked = self._requests.quick_prompt(prompt)
        return None if checked is None else (key, checked)

    def _is_spaced(self, line: bytes, key: bytes, request: dict[str, Any]) -> bool:
        """Tell whether a line is written as Python's ``json.dumps`` does by itself."""
        fields = [msgspec.json.encode(name) + b": " + bytes(text) for name, text in request.items()]
        return line in self._spaced(key, b'"request": {' + b", ".join(fields) + b"}")

    def _spaced(self, key: bytes, rest: bytes) -> tuple[bytes, ...]:
        if not key:
            return (b"{" + rest + b"}",)
        return (
            b"{%b: %b, %b}" % (self._name, key, rest),
            b"{%b, %b: %b}" % (rest, self._name, key),
        )
