"""What to generate: every number that decides the bytes, checked, and the files they go into."""

from dataclasses import asdict, dataclass
from datetime import date

import numpy as np

from meterlake.errors import UsageError
from meterlake.sources import generate_defects as defects
from meterlake.sources.generate_draws import Ints
from meterlake.sources.generate_load import METERS_PER_DISTRICT
from meterlake.sources.generate_shapes import SHAPES, Shape, meter_ids

LARGEST_RATE = {"gap": 0.05, "anomaly": 1.0}


@dataclass(frozen=True)
class Rates:
    """Shares of all intervals; `anomaly` is a share of meter-months, `outage` one of feeder-days, transformer-days and
    meter-days on which one begins. The kinds of bad rows are equally frequent.

    Raises:
        UsageError: a share is below 0 or unreasonably large.
    """

    exact_duplicate: float = 0.002
    conflicting_duplicate: float = 0.0002
    bad_row: float = 0.001
    gap: float = 0.005
    anomaly: float = 0.03
    outage: float = 0.0

    def __post_init__(self) -> None:
        for name, rate in asdict(self).items():
            top = LARGEST_RATE.get(name, 0.2)
            if not 0 <= rate <= top:
                raise UsageError(
                    f"rate of {name}: {rate} is not from 0 to {top}; give a share, for instance 0.01 for 1 %."
                )

    def by_kind(self, shape: Shape) -> dict[str, float]:
        """The share of each kind of defect. A file without a meter column cannot have a line without its meter."""
        bad = [kind for kind in defects.BAD if kind != "missing_meter" or not shape.one_file_per_meter]
        rates = {
            defects.GAP: self.gap,
            defects.EXACT: self.exact_duplicate,
            defects.CONFLICT: self.conflicting_duplicate,
        }
        return rates | {kind: self.bad_row / len(bad) for kind in bad}


@dataclass(frozen=True)
class Plan:
    """A generation. A file is a unit of work and is known by its number.

    Raises:
        UsageError: a number makes no sense.
    """

    folder: str
    shape_name: str = "ami"
    meters: int = 100
    start: date = date(2024, 1, 1)
    days: int = 30
    # None: the cadence of the shape, 15 for ami.
    interval: int | None = None
    seed: int = 1
    rates: Rates = Rates()
    meters_per_file: int = 1000
    gzip: bool = False
    supply_meters: bool = False

    def __post_init__(self) -> None:
        if self.shape_name not in SHAPES:
            raise UsageError(f"shape {self.shape_name!r} is not known; choose one of {', '.join(SHAPES)}.")
        if (fixed := self.shape.interval_minutes) and self.interval not in (None, fixed):
            raise UsageError(
                f"shape {self.shape_name} has a reading every {fixed} min, not {self.interval}; leave it out."
            )
        if not 1 <= self.interval_minutes <= 60 or 60 % self.interval_minutes:
            raise UsageError(f"interval: {self.interval_minutes} min do not divide an hour; choose 5, 15, 30 or 60.")
        for name in ("meters", "days", "meters_per_file"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')}: {getattr(self, name)} is not 1 or more.")
        if self.supply_meters and self.shape.one_file_per_meter:
            raise UsageError(f"shape {self.shape_name} knows no feeders, so it has no supply meters; choose ami.")
        if self.rates.outage and self.shape.one_file_per_meter:
            raise UsageError(f"shape {self.shape_name} knows no feeders, so it has no outages; choose ami.")

    @property
    def shape(self) -> Shape:
        return SHAPES[self.shape_name]

    @property
    def interval_minutes(self) -> int:
        return (self.shape.interval_minutes or 15) if self.interval is None else self.interval

    @property
    def first_day(self) -> int:
        """Days since 1970-01-01, as everywhere in the generator."""
        return (self.start - date(1970, 1, 1)).days

    @property
    def blocks(self) -> int:
        return -(-self.meters // self.meters_per_file)

    @property
    def units(self) -> int:
        return self.meters if self.shape.one_file_per_meter else self.blocks * self.days

    @property
    def districts(self) -> int:
        return -(-self.meters // METERS_PER_DISTRICT)

    @property
    def supply_units(self) -> int:
        return self.districts * self.days if self.supply_meters else 0

    def supply_file(self, unit: int) -> str:
        day, district = divmod(unit, self.districts)
        date = np.datetime64(self.first_day + day, "D")
        return f"supply-{date}-{district:05d}.csv" + (".gz" if self.gzip else "")

    def rows(self, unit: int) -> tuple[Ints, Ints]:
        """Meters and days of a file, row by row."""
        if self.shape.one_file_per_meter:
            return np.full(self.days, unit), self.first_day + np.arange(self.days)
        day, part = divmod(unit, self.blocks)
        meter = np.arange(part * self.meters_per_file, min((part + 1) * self.meters_per_file, self.meters))
        return meter, np.full(len(meter), self.first_day + day)

    def stem(self, unit: int) -> str:
        """The meter; or the shape, the day and the number of the block of meters."""
        if self.shape.one_file_per_meter:
            return meter_ids(np.array([unit]))[0]
        day, part = divmod(unit, self.blocks)
        return f"{self.shape_name}-{np.datetime64(self.first_day + day, 'D')}-{part:05d}"

    def file(self, unit: int) -> str:
        return self.stem(unit) + self.shape.suffix + (".gz" if self.gzip else "")
