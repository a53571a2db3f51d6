"""What must stay private: passwords in URLs, and the directories that hold prompts and answers."""

from __future__ import annotations

import re
from pathlib import Path

LOOSE = (
    "has an @ outside of its place; percent-encode the special characters of its user and password "
    "(@ is %40, / is %2F, ? is %3F, # is %23, : is %3A)"
)
"""What is wrong with a URL that ``is_loose``; it goes behind the URL's name and never with the URL itself."""


def is_loose(url: str) -> bool:
    """Tell whether an unescaped character may have moved a part of the password elsewhere in the URL.

    The user and password end at the only @ before the first of ``/?#`` (RFC 3986, section 3.2). A URL without
    a host, such as ``sqlite:////srv/a@b.db``, has no password.
    """
    _, mark, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0] if mark else ""
    return bool(authority) and (authority.count("@") > 1 or "@" in rest[len(authority) :])


def make_private(directory: Path) -> None:
    """Make a directory, and those above it that are missing, for this user only; others stay as they are.

    Raise ``OSError`` when that cannot be done.
    """
    if directory.is_dir():
        return
    make_private(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
