"""How a gap is filled: the settings of estimation, each with its meaning and unit."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Span = Annotated[timedelta, Field(gt=timedelta(0))]


class EstimationPolicy(BaseModel):
    """Settings of `estimate.estimate`. In TOML a span is ISO 8601 (`PT2H`, `P7D`) or a number of seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interpolate_up_to: timedelta = Field(
        default=timedelta(hours=2),
        description="A gap this long or shorter between two good neighbours may be filled by a straight line.",
    )
    like_days_first_above: timedelta = Field(
        default=timedelta(hours=1),
        description="Above this length like days go before the straight line, which is left for where they are too "
        "few. The same as interpolate_up_to: the line always goes first.",
    )
    longest_gap: Span = Field(
        default=timedelta(days=7), description="A longer gap is left missing, also where a register spans it."
    )
    method: Literal["like_day_bridge", "like_day_mean"] = Field(
        default="like_day_bridge",
        description="like_day_mean: mean of the `like_days` nearest days of the same kind at the same local time. "
        "like_day_bridge: all of them within `within`, near ones weighing more, moved to the level of the days "
        "beside the gap and joined to the readings on its edges.",
    )
    like_days: int = Field(default=3, ge=1, description="Days that like_day_mean takes the mean of.")
    least_like_days: int = Field(
        default=3, ge=1, description="With fewer good readings on like days an interval has too little history."
    )
    within: Span = Field(default=timedelta(days=35), description="How far off a like day may be, before and after.")
    holidays_like_weekends: bool = Field(
        default=True,
        description="On a holiday with fewer than `least_like_days` other holidays, weekend days are like days, too.",
    )
    nearness: Span = Field(
        default=timedelta(days=10),
        description="like_day_bridge: a day this much farther away weighs 1/e as much.",
    )
    level_from: Span = Field(
        default=timedelta(hours=24),
        description="like_day_bridge: readings this far before and after the gap are compared with their like days.",
    )
    level_share: Share = Field(
        default=0.5,
        description="like_day_bridge: their ratio to this power multiplies the estimate; 0: it does not.",
    )
    memory: Span = Field(
        default=timedelta(hours=1),
        description="like_day_bridge: this far into the gap, the difference of the reading on its edge to the like "
        "days still counts 1/e.",
    )


# What issue 5 asks for to the letter; docs/vee.md compares it with the default.
PRESCRIBED = EstimationPolicy(method="like_day_mean", like_days_first_above=timedelta(hours=2))
