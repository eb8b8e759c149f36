"""The blocks of horizons that are forecast: a day and a week ahead."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """Horizons that one model serves: hours after the origin, both inclusive."""

    name: str
    first_h: int
    last_h: int


BLOCKS = (Block("day ahead", 1, 24), Block("week ahead", 25, 168))
