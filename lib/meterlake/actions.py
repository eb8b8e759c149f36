"""What the command line must know of an action: its options. What it does is imported when somebody asks for it."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from meterlake.settings import Settings


@dataclass(frozen=True)
class Action:
    """A command, or an action of one. `does` returns what it has to say."""

    about: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    does: Callable[[argparse.Namespace, Settings], str]


def day(text: str) -> date:
    """An option that is a day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2024-01-31") from None


def instant(text: str) -> datetime:
    """An option that is a time, UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 2024-01-31T06:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
