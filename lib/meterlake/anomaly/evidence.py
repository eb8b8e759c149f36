"""What speaks for a meter-day being anomalous, and how sure that makes us.

Four things speak: a flagged reading, a finding of a rule, the day as a whole, and the balance of the transformer. How
often each set of the first three is seen on anomalous and on ordinary days, and how often the balance names an
anomalous and an ordinary one, is measured by `meterlake anomaly confidence`, which writes SHARES.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Share = TypeVar("Share", float, NDArray[np.float64])

# In the order in which they are told; bit n of a set's number is the n-th of them.
READING, RULE, DAY, BALANCE = EVIDENCE = ("reading", "rule", "day", "balance")
OF_METERS = EVIDENCE[:3]
# Rules whose finding speaks for a fault of this meter. The others find habits (high and low use, outliers), what a
# whole street has (outages), or what was delivered (gaps, clock changes, estimates).
TELLING_RULES = (
    "spike",
    "frozen",
    "flatline",
    "zero_run",
    "negative",
    "register_sum",
    "sub_meters",
    "clock_shift",
    "step_change",
)
SHARES = "evidence.toml"


def number(evidence: Iterable[str]) -> int:
    """The number of a set of evidence, 0 to 15."""
    return sum(1 << EVIDENCE.index(name) for name in evidence)


def named(code: int) -> str:
    """The set with this number in words: `reading, day`; "none" is the empty one."""
    return ", ".join(name for bit, name in enumerate(EVIDENCE) if code >> bit & 1) or "none"


@dataclass(frozen=True)
class Shares:
    """How often evidence is seen.

    Attributes:
        anomalous, ordinary: share of such meter-days with exactly this evidence of OF_METERS, by the set's name.
        named_anomalous, named_ordinary: share of them that the balance names, where the transformer has one.
    """

    anomalous: Mapping[str, float]
    ordinary: Mapping[str, float]
    named_anomalous: float
    named_ordinary: float

    def confidence(self, code: int, base_rate: float) -> float:
        """Share of the meter-days with exactly this evidence that are anomalous, by Bayes' rule.

        The balance is taken to be independent of the rest, of an anomalous day as of an ordinary one. That it does not
        speak counts for nothing: most transformers have none.

        Args:
            base_rate: share of all meter-days that are anomalous.
        """
        of_meter = named(code & ~number([BALANCE]))
        confirmed = code & number([BALANCE])
        anomalous = self.anomalous[of_meter] * (self.named_anomalous if confirmed else 1)
        ordinary = self.ordinary[of_meter] * (self.named_ordinary if confirmed else 1)
        return bayes(base_rate, anomalous, ordinary)

    def as_toml(self, told: str) -> str:
        """The file SHARES; `told` says how it was made."""
        lines = [f"# {told}"]
        for name in ("anomalous", "ordinary"):
            lines += ["", f"[{name}]", *(f'"{key}" = {share:.3g}' for key, share in getattr(self, name).items())]
        balance = (f"anomalous = {self.named_anomalous:.3g}", f"ordinary = {self.named_ordinary:.3g}")
        return "\n".join([*lines, "", "[balance]", *balance, ""])


def bayes(base_rate: float, anomalous: Share, ordinary: Share) -> Share:
    """Share that is anomalous of what so large a share of the anomalous and of the ordinary have."""
    return base_rate * anomalous / (base_rate * anomalous + (1 - base_rate) * ordinary)


def parsed(text: str) -> Shares:
    """The shares that `as_toml` wrote."""
    found = tomllib.loads(text)
    return Shares(
        found["anomalous"], found["ordinary"], *(found["balance"][name] for name in ("anomalous", "ordinary"))
    )


@cache
def measured() -> Shares:
    """The shares that come with this version."""
    return parsed((files("meterlake.anomaly") / SHARES).read_text(encoding="utf-8"))
