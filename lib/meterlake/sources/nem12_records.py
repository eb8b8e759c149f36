"""The records of a NEM12 file, told into delivered values. Pure: text in, arrays out.

Records (AEMO, Meter Data File Format Specification NEM12 & NEM13): 100 header; 200 channel (NMI, suffix, unit, interval
length); 300 one day of values with its quality; 400 quality of a range of intervals, where the 300 says V; 500 B2B
details, skipped; 900 end.

What counts as one delivered value is the field of a 300 record between its date and its quality. A record that cannot
be told into values, or that is none of these, counts as one. A second reader (nem12_inspect.py) counts the same in the
bytes; the two share no code.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

from meterlake.sources.source import FINEST_MINUTES

DAY_MINUTES = 1440
BLANK = " \t\r\n\f\v"  # of ASCII only, as the second reader sees it
QUALITY = re.compile(r"[AEFNSV]\d{0,2}$")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
FIRST_QUALITY = 2  # position of the first field of a 300 record that can be its quality


@dataclass(frozen=True)
class Channel:
    """A 200 record. `fault` says why its days cannot be read."""

    text: str
    meter_id: str = ""
    unit: str = ""
    interval_minutes: int = 0
    fault: str | None = None


@dataclass(frozen=True)
class Span:
    """A run of intervals of a day, the first is 1, with their quality as `flag[:reason code[:description]]`."""

    first: int
    last: int
    quality: str


@dataclass
class Day:
    """A 300 record with the 400 records behind it.

    Attributes:
        line: its number in the file, from 1.
        text: the record itself; `details` the 400 records.
        values: the fields between date and quality, as text.
        quality: quality flag and method, with reason; empty where the record has none.
    """

    line: int
    text: str
    channel: Channel
    day: str
    values: list[str]
    quality: str
    details: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    fault: str | None = None

    @property
    def varies(self) -> bool:
        return self.quality.startswith("V")

    @property
    def raw(self) -> str:
        """All records that are needed to read the day again."""
        return "\n".join(filter(None, [self.channel.text, self.text, *self.details]))


@dataclass(frozen=True)
class Stray:
    """A line that belongs to nothing."""

    line: int
    text: str
    fault: str


NOWHERE = Channel("", fault="a 300 record without a 200 record before it")


def days_of(lines: Iterable[str]) -> Iterator[Day | Stray]:
    """The days of a file and the lines that belong to none, in the order of the file."""
    channel, day = NOWHERE, None
    for number, delivered in enumerate(lines, start=1):
        text = delivered.strip(BLANK).removeprefix("\ufeff")
        kind, _, rest = text.partition(",")
        if kind == "400" and day is not None and day.varies:
            _add_detail(day, number, text)
            continue
        if kind == "500" or not text.strip(","):  # a spreadsheet leaves lines of commas
            continue
        if day is not None:
            yield day
            day = None
        if kind == "300":
            day = _day(number, text, channel)
        elif kind in ("100", "900"):
            channel = NOWHERE
        elif kind == "200":
            channel = _channel(number, text, rest.split(","))
        elif kind == "400":
            yield Stray(number, text, f"line {number}: a 400 record without a day of variable quality (V) before it")
        else:
            yield Stray(number, text, f"line {number}: {kind[:20]!r} is no record of NEM12")
    if day is not None:
        yield day


def _channel(line: int, text: str, fields: list[str]) -> Channel:
    """NMI, NMIConfiguration, RegisterID, NMISuffix, MDMDataStreamIdentifier, MeterSerialNumber, UOM, IntervalLength."""
    if len(fields) < 8:
        return Channel(text, fault=f"its 200 record, line {line}, has {len(fields) + 1} of 9 fields")
    nmi, suffix, unit, length = (fields[n].strip() for n in (0, 3, 6, 7))
    if not nmi or not suffix:
        return Channel(text, fault=f"its 200 record, line {line}, names no NMI or no suffix")
    minutes = int(length) if length.isascii() and length.isdigit() else 0
    if not minutes or minutes % FINEST_MINUTES or DAY_MINUTES % minutes:
        return Channel(text, fault=f"its 200 record, line {line}, has the interval length {length!r}")
    return Channel(text, f"{nmi}:{suffix}", unit, minutes)


def _day(line: int, text: str, channel: Channel) -> Day:
    fields = [part.strip(BLANK) for part in text.split(",")]
    ends = next((n for n, part in enumerate(fields) if n >= FIRST_QUALITY and QUALITY.match(part)), len(fields))
    values, tail = fields[FIRST_QUALITY:ends], fields[ends:]
    day = Day(line, text, channel, fields[1] if len(fields) > 1 else "", values, _quality(tail))
    day.fault = _fault(day)
    return day


def _quality(fields: list[str]) -> str:
    """QualityMethod, ReasonCode, ReasonDescription -> `S14:76:description`, without what is empty at the end."""
    return ":".join(fields[:3]).rstrip(":")


def _fault(day: Day) -> str | None:
    """Why the values of a day cannot be told, apart from its 400 records."""
    where, length = f"line {day.line}: ", day.channel.interval_minutes
    if day.channel.fault:
        return where + day.channel.fault
    if len(day.day) != 8 or not day.day.isdigit() or _date(day.day) is None:
        return f"{where}'{day.day[:20]}' is no date (CCYYMMDD)"
    if len(day.values) != DAY_MINUTES // length:
        return f"{where}{len(day.values)} values where a day of {length}-minute intervals has {DAY_MINUTES // length}"
    return None if day.quality else f"{where}the record has no quality"


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _add_detail(day: Day, line: int, text: str) -> None:
    """StartInterval, EndInterval, QualityMethod, ReasonCode, ReasonDescription."""
    day.details.append(text)
    fields = [part.strip(BLANK) for part in text.split(",")[1:]]
    whole = len(fields) >= 3 and fields[0].isdecimal() and fields[1].isdecimal()
    if not whole or not QUALITY.match(fields[2]) or fields[2].startswith("V"):
        day.fault = day.fault or f"line {line}: a 400 record that cannot be read"
        return
    day.spans.append(Span(int(fields[0]), int(fields[1]), _quality(fields[2:])))


def spans_of(day: Day) -> list[Span]:
    """The quality of every interval as runs.

    Raises:
        ValueError: the 400 records do not cover the day; the message says so.
    """
    last = len(day.values)
    if not day.varies:
        return [Span(1, last, day.quality)]
    ordered = sorted(day.spans, key=lambda span: span.first)
    ends = [0, *(span.last for span in ordered)]
    meets = all(span.first == end + 1 <= span.last for span, end in zip(ordered, ends, strict=False))
    if not meets or ends[-1] != last:
        told = ", ".join(f"{span.first}-{span.last}" for span in ordered) or "nothing"
        raise ValueError(f"line {day.line}: quality V, and its 400 records cover {told} of the intervals 1-{last}")
    return ordered


def number(text: str) -> float:
    """A value; NaN where there is none.

    Raises:
        ValueError: the text is no number.
    """
    if not text:
        return math.nan
    if not NUMBER.match(text):
        raise ValueError(f"{text[:20]!r} is no number")
    return float(text)
