"""Loops over rows that numpy has no word for, as machine code."""

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """The loop, kept on disk once it is compiled: each process of each run would compile it, a second or two."""
    import numba  # takes a third of a second, and few rows never need it

    try:
        return numba.njit(nogil=True, cache=True)(loop)
    except RuntimeError:  # no folder that it may keep it in
        return numba.njit(nogil=True)(loop)
