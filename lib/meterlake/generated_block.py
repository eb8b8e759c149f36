"""The parts of a page of docs/ that a command writes: a text between two marks. People write the rest of the page."""

import argparse
from pathlib import Path

from meterlake.errors import UsageError

END = "<!-- end of generated -->"


def begin(name: str) -> str:
    """The mark that the block of this name begins with."""
    return f"<!-- generated: {name} -->"


def block(page: str, name: str) -> str:
    """What stands between the marks.

    Raises:
        UsageError: the marks are not there, each once and in order.
    """
    _, mark, rest = page.partition(begin(name))
    text, end, _ = rest.partition(END)
    if not mark or not end or begin(name) in rest or "<!-- generated" in text:
        raise UsageError(
            f"the page does not hold {begin(name)!r} once, followed by {END!r}; add them where it belongs."
        )
    return text.strip("\n")


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The option `--page`."""
    parser.add_argument("--page", type=Path, metavar="FILE", help="page whose generated blocks are replaced, too")


def write(file: Path | None, name: str, text: str) -> None:
    """Replace what stands between the marks of a page; nothing where none is named.

    Raises:
        UsageError: the page cannot be read, or the marks are not there.
    """
    if file is None:
        return
    try:
        page = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}); name a page that is there.") from None
    block(page, name)
    head, _, rest = page.partition(begin(name))
    tail = rest.partition(END)[2]
    file.write_text(f"{head}{begin(name)}\n{text}\n{END}{tail}", encoding="utf-8")
