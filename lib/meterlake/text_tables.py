"""A table of texts, its header first, for the screen and for a page of docs/."""

from collections.abc import Sequence

Lines = list[tuple[str, ...]]


def as_text(lines: Sequence[tuple[str, ...]]) -> str:
    """Columns of even width."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def as_markdown(lines: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], ("---",) * len(lines[0]), *lines[1:]])
