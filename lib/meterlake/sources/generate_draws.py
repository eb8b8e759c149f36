"""Random draws that know their place: the same (seed, purpose, meter, day, interval) always gives the same number.

A draw is a hash of its coordinates (splitmix64; Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
generators"), not the next number of a generator. So a reading does not depend on which task made it, on what else was
generated, or on the version of numpy.
"""

from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniform(seed: int, purpose: str, *place: ArrayLike, count: int = 0) -> Floats:
    """Uniform numbers in [0, 1): one for each place (integer arrays of one shape), or `count` for each in a row."""
    return (_bits(seed, purpose, *place, count=count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, purpose: str, *place: ArrayLike, count: int = 0) -> Floats:
    """Standard normal to the eye, shaped as in `uniform`: the sum of four 16-bit uniforms, so never beyond 3.47.

    No reading is an outlier by chance: every extreme in the files is a labelled one.
    """
    bits = _bits(seed, purpose, *place, count=count)
    low = np.uint64(0xFFFF)
    total = bits & low
    for shift in (16, 32, 48):
        total += (bits >> np.uint64(shift)) & low
    return (total.astype(np.float64) - 131070.0) / 37837.227  # 2^16 * sqrt(4 / 12)


def _bits(seed: int, purpose: str, *place: ArrayLike, count: int) -> NDArray[np.uint64]:
    state = _mixed(np.array([seed % 2**64, crc32(purpose.encode())], dtype=np.uint64))
    state = _mixed(state[:1] ^ (state[1:] * GOLDEN))
    for index in place:
        state = _mixed(state + (np.atleast_1d(index).astype(np.int64).view(np.uint64) + np.uint64(1)) * GOLDEN)
    if count:
        state = _mixed(state[..., None] + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN)
    return state


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of splitmix64, in place."""
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits
