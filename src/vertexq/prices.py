"""What a token costs: a table with effective dates, shipped as ``prices.json``, and a user's own beside it.

No I/O but reading those files. A batch costs half of the online price; tokens found in the implicit cache
cost a tenth of the online price and the two discounts do not stack (Google's batch prediction overview, read
2026-11-21). So cached tokens cost the same both ways, and where the online price of long prompts or of audio
is not in the table it is twice the batch's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Self

from vertexq.errors import BadSettings
from vertexq.price_lines import PriceLine, Table, read_table

VARIABLE = "VERTEXQ_PRICES"
NO_TIER_TOKENS = 2**62
"""More prompt tokens than any row has: a price without a tier for long prompts."""


@dataclass(frozen=True, slots=True)
class Price:
    """Pico-dollars a token. A row costs prompt * input + (output + thoughts) * output - cached * rebate.

    Prompt tokens include cached ones. With 150,000 and 1,250,000 pico-dollars 100 prompt and 10 output tokens
    cost 100 * 150,000 + 10 * 1,250,000 = 27,500,000 pico-dollars, 0.0000275 US dollars. ``vertexq.rows`` adds
    it up where every row passes. A row with more than ``long_from_tokens`` prompt tokens costs what ``long``
    says, all of it. Prompt tokens of audio cost ``audio_pusd`` where it is given.
    """

    input_pusd: int
    output_pusd: int
    cached_pusd: int
    long_from_tokens: int = NO_TIER_TOKENS
    long: Price | None = None
    audio_pusd: int | None = None

    @property
    def rebate_pusd(self) -> int:
        """Return how much less a token costs that was found in the cache."""
        return self.input_pusd - self.cached_pusd

    @property
    def audio_extra_pusd(self) -> int:
        """Return how much more a prompt's token costs that is audio."""
        return 0 if self.audio_pusd is None else self.audio_pusd - self.input_pusd

    def cost_pusd(self, *, input_tokens: int, output_tokens: int) -> int:
        """Return what tokens cost when none comes from the cache and no prompt is a long one."""
        return input_tokens * self.input_pusd + output_tokens * self.output_pusd


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The prices that hold: tables in order, of which an earlier one wins for the same model.

    Where an earlier table has no line for a model that is in force on the day, the next one is asked. A model
    without a line costs what its base does, among ``bases`` (short names of both).
    """

    tables: tuple[Table, ...]
    bases: tuple[tuple[str, str], ...] = ()

    @classmethod
    def shipped(cls) -> Self:
        """Return the table that comes with vertexq."""
        return cls((_shipped(),))

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Return a user's table on top of the shipped one; raise ``BadSettings`` with every fault in it."""
        return cls((_read(Path(path)), _shipped()))

    @classmethod
    def open(cls, path: str | Path = "") -> Self:
        """Return what the setting VERTEXQ_PRICES asks for: the shipped table when it is empty."""
        return cls.from_file(path) if str(path) else cls.shipped()

    def with_base(self, model: str, base: str) -> PriceBook:
        """Return the prices for who knows that ``model`` was tuned from ``base``; empty: from none."""
        return replace(self, bases=(*self.bases, (short_name(model), base))) if base else self

    def base_of(self, model: str) -> str:
        """Return the model that another one was tuned from; empty when that is not known."""
        return dict(self.bases).get(short_name(model), "")

    def price_of(self, model: str, on: date, *, online: bool = False) -> Price | None:
        """Return the price of ``model`` (its last path segment, any ``@version``) on a day, or None.

        It is that of a batch, or of ``online`` calls.
        """
        line = self.line_of(model, on)
        if line is None:
            return None
        return _online_price(line) if online else _price(line)

    def line_of(self, model: str, on: date) -> PriceLine | None:
        """Return the line of the table that holds for ``model`` on a day, or None."""
        name = short_name(model)
        found = [
            (len(line.model), -rank, line.from_day.toordinal(), line)
            for rank, table in enumerate(self.tables)
            for line in table.lines
            if names(line.model, name) and line.holds(on)
        ]
        if not found and (base := self.base_of(model)):
            return replace(self, bases=()).line_of(base, on)
        return max(found, key=lambda one: one[:3])[3] if found else None

    def lines(self) -> Sequence[PriceLine]:
        """Return every line that can still win, by model and date: a user's line hides its shipped double."""
        kept: dict[tuple[str, date], PriceLine] = {}
        for table in self.tables:
            for line in table.lines:
                kept.setdefault((line.model, line.from_day), line)
        return [kept[key] for key in sorted(kept)]

    def sources(self) -> Iterable[tuple[str, str]]:
        """Yield where each table is from and on what day it was read."""
        return ((table.source, table.read) for table in self.tables)

    def to_json(self) -> Mapping[str, object]:
        """Return all of it in the form of a price file, so that it can be copied as a start."""
        shipped = self.tables[-1]
        return {
            "source": "; ".join(table.source for table in self.tables if table.source),
            "read": shipped.read,
            "unit": shipped.unit,
            "prices": [line.to_json() for line in self.lines()],
        }


def short_name(model: str) -> str:
    """Return a model's name without its path and ``@version``."""
    return model.rpartition("/")[2].partition("@")[0]


def names(pattern: str, name: str) -> bool:
    """Tell whether a table line is about the model: itself, or a dated version (``…-001``) of it."""
    tail = name.removeprefix(pattern)
    return name.startswith(pattern) and (not tail or tail[1:].isdigit() or tail.startswith("-preview"))


def _price(line: PriceLine) -> Price | None:
    if line.input is None or line.output is None:
        return None
    return Price(
        input_pusd=line.input,
        output_pusd=line.output,
        cached_pusd=line.input if line.cached is None else line.cached,
        long_from_tokens=line.long_from_tokens or NO_TIER_TOKENS,
        long=_long_price(line),
        audio_pusd=line.audio_input,
    )


def _online_price(line: PriceLine) -> Price | None:
    if line.online_input is None or line.online_output is None:
        return None
    audio_pusd = line.online_audio_input
    if audio_pusd is None and line.audio_input is not None:
        audio_pusd = 2 * line.audio_input
    long = _long_price(line)
    return Price(
        input_pusd=line.online_input,
        output_pusd=line.online_output,
        cached_pusd=line.online_input if line.cached is None else line.cached,
        long_from_tokens=line.long_from_tokens or NO_TIER_TOKENS,
        long=long and Price(2 * long.input_pusd, 2 * long.output_pusd, long.cached_pusd),
        audio_pusd=audio_pusd,
    )


def _long_price(line: PriceLine) -> Price | None:
    """Return what a row with a long prompt costs; what the line does not say stays as it is."""
    if not line.long_from_tokens or line.input is None or line.output is None:
        return None
    input_pusd = line.input if line.long_input is None else line.long_input
    cached_pusd = line.cached if line.long_cached is None else line.long_cached
    return Price(
        input_pusd=input_pusd,
        output_pusd=line.output if line.long_output is None else line.long_output,
        cached_pusd=input_pusd if cached_pusd is None else cached_pusd,
    )


@cache
def _shipped() -> Table:
    return read_table(files("vertexq").joinpath("prices.json").read_bytes(), name="prices.json of vertexq")


def _read(path: Path) -> Table:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadSettings(
            f"{VARIABLE} names {path}, which cannot be read ({error.strerror}); "
            "`vertexq cost --prices --json` prints a table to start from"
        ) from error
    return read_table(raw, name=f"{VARIABLE} ({path})")
