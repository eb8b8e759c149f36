"""A data source is declared, not coded: what its columns are called, their units, its clock and its limits."""

import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from meterlake.sources.tariff import Tariff
from meterlake.vee.policy import Vee

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Bounds = tuple[float, float]
FIXED_OFFSET = re.compile(r"^[+-](0\d|1[0-8]):[0-5]\d$")
# An ISO time stamp that says how far its clock is ahead of UTC: it is an instant.
WITH_OFFSET = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)? ?(Z|[+-](0\d|1[0-7])(:?[0-5]\d)?)$"


class Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Format(Declared):
    """How the text is written.

    Attributes:
        layout: `csv` is a table with a header; `nem12` the Australian interval files (sources/nem12.py), whose columns
            need no declaration and whose readings each bring their own length, unit and quality.
        timestamp: Spark datetime patterns that are tried in order; empty is ISO 8601 (`2024-01-31 00:15[:00]`).
        null_marks: texts that stand for "no value here", besides an empty field. With `missing_is_declared` a line
            whose value is one of these is a known gap (quality `missing`), not an error.
    """

    layout: Literal["csv", "nem12"] = "csv"
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    timestamp: tuple[str, ...] = ()
    encoding: str = "UTF-8"
    null_marks: tuple[str, ...] = ()
    missing_is_declared: bool = False

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.decimal == self.separator:
            raise ValueError("the decimal mark and the separator are the same character")
        return self


class Columns(Declared):
    """Header names of the file by what they mean. Several names for the time stamp are joined by a blank.

    Without `meter_id` the file is one meter, named by the file.
    """

    timestamp: str | tuple[str, ...]
    value: str
    meter_id: str | None = None
    voltage: str | None = None
    sub_metering_1: str | None = None
    sub_metering_2: str | None = None
    sub_metering_3: str | None = None
    temperature: str | None = None
    humidity: str | None = None
    wind_speed: str | None = None
    avg_past_consumption: str | None = None
    anomaly_label: str | None = None
    region: str | None = None
    feeder: str | None = None
    transformer: str | None = None
    customer_id: str | None = None

    @property
    def stamps(self) -> tuple[str, ...]:
        return (self.timestamp,) if isinstance(self.timestamp, str) else self.timestamp

    @property
    def required(self) -> tuple[str, ...]:
        """Header names without which a file cannot be read."""
        return (*self.stamps, self.value, *([self.meter_id] if self.meter_id else []))

    @property
    def optional(self) -> dict[str, str]:
        """Canonical name -> header name of the optional columns that the source declares."""
        names = self.model_dump(exclude={"timestamp", "value", "meter_id"}, exclude_none=True)
        return {str(canonical): str(header) for canonical, header in names.items()}

    @model_validator(mode="after")
    def _headers_differ(self) -> Self:
        headers = [*self.required, *self.optional.values()]
        if twice := {header for header in headers if headers.count(header) > 1}:
            raise ValueError(f"the header {sorted(twice)[0]!r} is declared for two columns")
        return self


# What the specification calls its fields; they have no header in the file.
NEM12_COLUMNS = Columns(meter_id="NMI", timestamp="IntervalDate", value="IntervalValue")
FINEST_MINUTES = 5  # NEM12 intervals last 5, 15 or 30 min; voltage channels of 10 min are about


class Units(Declared):
    """What the numbers are.

    Attributes:
        value: energy per interval (kWh, Wh), mean power over the interval (kW, W), or a cumulative register
            (register_kWh, register_Wh) that may start again from 0.
        register_rollover: the reading at which a cumulative register starts again from 0, in its own unit.
        sub_metering: unit of the sub-meters.
        wind_speed: unit of the wind speed.
    """

    value: Literal["kWh", "Wh", "kW", "W", "register_kWh", "register_Wh"] = "kWh"
    register_rollover: float | None = None
    sub_metering: Literal["kWh", "Wh"] = "kWh"
    wind_speed: Literal["km/h", "m/s"] = "km/h"

    @property
    def is_register(self) -> bool:
        return self.value.startswith("register_")


class Limits(Declared):
    """Plausible ranges, both ends included. Outside of them a line is quarantined."""

    consumption_kwh: Bounds = (0.0, 100.0)
    voltage_v: Bounds = (184.0, 276.0)  # 230 V -20 % +20 %
    temperature_c: Bounds = (-50.0, 60.0)
    humidity_pct: Bounds = (0.0, 100.0)

    @field_validator("*")
    @classmethod
    def _ordered(cls, bounds: Bounds) -> Bounds:
        if not bounds[0] <= bounds[1]:
            raise ValueError(f"the lower bound {bounds[0]:g} is above the upper bound {bounds[1]:g}")
        return bounds


Share = Annotated[float, Field(ge=0, lt=0.5)]
COVERAGE_FLOOR = 0.95


class TechnicalLoss(Declared):
    """What the grid itself takes between a supply meter and its customers, as shares of the energy supplied.

    Attributes:
        fixed_share: no-load loss, the same at every load: of the mean supply of the month.
        i2r_share: load loss of a constant load as large as the mean supply of the month; grows with its square.
    """

    fixed_share: Share
    i2r_share: Share


class Losses(Declared):
    """How the energy that feeders and transformers take in is compared with what their customers' meters read.

    The default shares are of a transformer of 50 to 400 kVA as good as EU 548/2014 asks for (tier 1), used at 40 % of
    its rating (0.5 % and 0.9 %), with 2 % in its low-voltage lines, and 1 % more in the feeder. A network calculation
    knows better: declare its result.

    Attributes:
        supply_source: the source that delivers the supply meters. A meter of it with a transformer measures the supply
            of that transformer, one with a feeder only that of the feeder, one with a region only that of the region.
        coverage_floor: least share of the customers' intervals that must be known for a balance to be told.
        energy_price: what a lost kWh costs the utility; None tells losses in energy only.
        currency: of the price, an ISO 4217 code.
    """

    supply_source: Name
    transformer: TechnicalLoss = TechnicalLoss(fixed_share=0.005, i2r_share=0.029)
    feeder: TechnicalLoss = TechnicalLoss(fixed_share=0.005, i2r_share=0.039)
    coverage_floor: Annotated[float, Field(gt=0, le=1)] = COVERAGE_FLOOR
    energy_price: Annotated[float, Field(gt=0)] | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None

    @model_validator(mode="after")
    def _price_has_currency(self) -> "Losses":
        if (self.energy_price is None) != (self.currency is None):
            raise ValueError("energy_price and currency belong together: declare both, or none")
        return self


def states_offset(pattern: str) -> bool:
    """Whether a Spark datetime pattern has a zone or an offset, outside of its quoted text."""
    return bool(re.search(r"[VzOXxZ]", re.sub(r"'[^']*'", "", pattern)))


class Source(Declared):
    """One data source.

    Attributes:
        interval_minutes: cadence; a time stamp off its grid (counted from local midnight) is an error. Where readings
            bring their own length (`varies`), the length that features and scores bring them to.
        time_zone: zone of the file's clock: an IANA zone with its summer time, a fixed offset like +01:00, or UTC.
        stamp: whether a time stamp marks the start or the end of its interval.
        country: ISO 3166 code of the country, or a part of it (GB-ENG), whose holidays the customers keep.
        labels: the source's anomaly labels, in lower case -> whether they mean an anomaly.
        vee: rules, severities and estimation (vee/policy.py).
        losses: how the customers' energy is balanced against the supply of their feeders; None: it is not.
        tariff: the bands by which load is told apart, beside the whole of it; None: there are none.
    """

    name: Name
    description: str
    interval_minutes: Annotated[int, Field(ge=1, le=1440)]
    time_zone: str = "UTC"
    stamp: Literal["start", "end"] = "start"
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")] | None = None
    columns: Columns
    format: Format = Format()
    units: Units = Units()
    limits: Limits = Limits()
    labels: dict[str, bool] = {"normal": False, "anomaly": True, "abnormal": True}
    vee: Vee = Vee()
    losses: Losses | None = None
    tariff: Tariff | None = None

    @property
    def coverage_floor(self) -> float:
        """Least share of the readings of many meters that must be known for a figure about all of them to be told."""
        return self.losses.coverage_floor if self.losses else COVERAGE_FLOOR

    @property
    def tells_hours(self) -> bool:
        """Whether its readings are short enough to tell the hours of a day apart."""
        return self.interval_minutes <= 60

    @property
    def varies(self) -> bool:
        """Whether each reading brings its own interval length; else all last `interval_minutes`."""
        return self.format.layout == "nem12"

    @property
    def moves_its_clock(self) -> bool:
        """Whether the zone may put its clock forward and back."""
        return self.time_zone != "UTC" and not FIXED_OFFSET.match(self.time_zone)

    @property
    def constant_offset(self) -> timedelta | None:
        """What the clock is ahead of UTC, where it is never put forward or back in the years whose rules are read."""
        from meterlake.vee.clock import FIRST_YEAR, LAST_YEAR, clock_of  # needs NumPy, which a declaration does not

        return clock_of(self.time_zone).ahead_throughout(date(FIRST_YEAR, 1, 1), date(LAST_YEAR - 1, 12, 31))

    @property
    def grid_minutes(self) -> int:
        """What every interval length of the source is a multiple of."""
        return FINEST_MINUTES if self.varies else self.interval_minutes

    @model_validator(mode="before")
    @classmethod
    def _nem12_names_its_own_columns(cls, given: Any) -> Any:
        layout = given.get("format") if isinstance(given, dict) else None
        nem12 = (
            layout.get("layout") == "nem12" if isinstance(layout, dict) else getattr(layout, "layout", "") == "nem12"
        )
        return {"columns": NEM12_COLUMNS, **given} if nem12 else given

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        if not FIXED_OFFSET.match(zone):
            try:
                ZoneInfo(zone)
            except (KeyError, ValueError, OSError):
                raise ValueError(f"{zone!r} is neither an IANA time zone nor an offset like +01:00") from None
        return zone

    @model_validator(mode="after")
    def _offsets_fit_the_clock(self) -> Self:
        stating = [pattern for pattern in self.format.timestamp if states_offset(pattern)]
        if stating and self.constant_offset is None:
            raise ValueError(
                f"{stating[0]!r} has an offset from UTC, which a clock with summer time ({self.time_zone}) does not "
                'keep: declare time_zone = "UTC" or a fixed offset'
            )
        return self

    @field_validator("interval_minutes")
    @classmethod
    def _divides_the_day(cls, minutes: int) -> int:
        if 1440 % minutes:
            raise ValueError(f"{minutes} minutes do not divide a day")
        return minutes

    @model_validator(mode="after")
    def _tariff_can_be_told(self) -> Self:
        if self.tariff and self.tariff.holiday is not None and self.country is None:
            raise ValueError("tariff.holiday needs a country whose holidays they are; declare country, too")
        if self.tariff and not self.tells_hours:
            raise ValueError(f"a tariff has hours, which readings of {self.interval_minutes} minutes do not tell apart")
        return self
