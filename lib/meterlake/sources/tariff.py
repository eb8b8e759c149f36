"""Time-of-use tariffs: which band each hour of a day is billed in."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

ALL = "all"  # stands beside the bands for the whole of a month
HOURS = 24

BandName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Hour = Annotated[int, Field(ge=0, le=HOURS)]
Bands = dict[BandName, tuple[tuple[Hour, Hour], ...]]


class Tariff(BaseModel):
    """The bands of one source, in TOML the section `[tariff]`.

    Each is a band's name -> its hours as [from, to] on the clock that customers live by, `to` not included. An hour
    after midnight belongs to the kind of the day that has begun.

    Attributes:
        weekday: of a working day.
        weekend: of the weekend that the source's country keeps; Saturday and Sunday without a country.
        holiday: of the country's public holidays, also those on a weekend; None: as on the weekend.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weekday: Bands
    weekend: Bands
    holiday: Bands | None = None

    @property
    def by_kind(self) -> tuple[list[str], list[str], list[str]]:
        """The bands of the 24 hours of a day, for each kind of day in the order of vee/daytypes.py."""
        holiday = self.weekend if self.holiday is None else self.holiday
        return _by_hour(self.weekday), _by_hour(self.weekend), _by_hour(holiday)

    @field_validator("weekday", "weekend", "holiday")
    @classmethod
    def _every_hour_has_one_band(cls, bands: Bands | None) -> Bands | None:
        if bands is not None:
            _by_hour(bands)
        return bands


def _by_hour(bands: Bands) -> list[str]:
    """The band of each of the 24 hours.

    Raises:
        ValueError: an hour has no band or two, hours end before they begin, or a band has the name of the whole.
    """
    if ALL in bands:
        raise ValueError(f"{ALL!r} is the name of all bands together; give this one another")
    found: dict[int, str] = {}
    for band, ranges in bands.items():
        for first, end in ranges:
            if first >= end:
                raise ValueError(f"{band} from {first} to {end} ends before it begins; a night is [22, 24] and [0, 7]")
            for hour in range(first, end):
                if hour in found:
                    raise ValueError(f"the hour from {hour}:00 is declared as {found[hour]} and as {band}")
                found[hour] = band
    if without := [f"{hour}:00" for hour in range(HOURS) if hour not in found]:
        raise ValueError(f"no band is declared for the hours from {', '.join(without)}")
    return [found[hour] for hour in range(HOURS)]
