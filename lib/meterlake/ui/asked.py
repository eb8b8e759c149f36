"""What a visitor's address asks for, checked and bounded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from meterlake.errors import UsageError

ROWS = 50
MOST_PAGES = 10_000
LONGEST_TEXT = 500
NAMES = ("source", "page", "search", "order", "meter", "day", "days", "type", "month", "reason", "file", "run")


def known(arguments: Mapping[str, str]) -> dict[str, str]:
    """The arguments that a page knows, to build addresses of; Flask gives some other names a meaning of its own."""
    return {name: arguments[name] for name in NAMES if name in arguments}


@dataclass(frozen=True)
class Page:
    """A page of a list, counted from 1."""

    number: int

    @property
    def skip(self) -> int:
        return (self.number - 1) * ROWS


@dataclass(frozen=True)
class Paging:
    """Which rows of a list a page shows, and whether there are more. `many` is None where nobody counted them."""

    number: int
    first: int
    last: int
    many: int | None
    more: bool

    @classmethod
    def of(cls, page: Page, rows: int, many: int | None = None) -> "Paging":
        """Of a page that `rows` were found for: one too many says that there are more, where they are not counted."""
        shown = min(rows, ROWS)
        last = page.skip + shown
        more = last < many if many is not None else rows > ROWS
        return cls(page.number, page.skip + min(shown, 1), last, many, more and page.number < MOST_PAGES)


def page(arguments: Mapping[str, str]) -> Page:
    """The page that is asked for, the first without one.

    Raises:
        UsageError: it is no number from 1 to `MOST_PAGES`.
    """
    number = whole(arguments, "page", 1)
    if not 1 <= number <= MOST_PAGES:
        raise UsageError(f"page={number} is not one of 1 to {MOST_PAGES:,}; correct the address.")
    return Page(number)


def choice(arguments: Mapping[str, str], name: str, among: tuple[str, ...], default: str | None = None) -> str:
    """One of some words; without one the default, else the first.

    Raises:
        UsageError: it is none of them.
    """
    given = arguments.get(name) or (among[0] if default is None else default)
    if given not in among:
        raise UsageError(f"{name}={given[:40]!r} is none of {', '.join(filter(None, among))}; correct the address.")
    return given


def text(arguments: Mapping[str, str], name: str) -> str:
    """A text, "" when it is not given. PostgreSQL takes none with the character 0."""
    return arguments.get(name, "").replace("\0", "")[:LONGEST_TEXT]


def whole(arguments: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of at most nine digits.

    Raises:
        UsageError: it is none.
    """
    given = arguments.get(name) or str(default)
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise UsageError(f"{name}={given[:40]!r} is not a whole number; correct the address.")
    return int(given)


def day(arguments: Mapping[str, str], name: str) -> date | None:
    """A day; None when it is not given.

    Raises:
        UsageError: it is none.
    """
    given = arguments.get(name, "")
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise UsageError(f"{name}={given[:40]!r} is not a date like 2024-01-31; correct the address.") from None
