"""What all contenders must agree on: row counts and sums of every table, asked by the same SQL of Spark and DuckDB."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# A sum over other roundings may differ by this part of the sum of absolute values.
RELATIVE = 1e-9
# Sentences carry rounded numbers, and speak otherwise of a mean of 0 than of one of 1e-18: polars leaves such residues.
RELATIVE_TEXT = 5e-3
# Published energies are rounded to 4 decimals, and a tie may fall either way: a unit of the last place per row.
ROUNDED = {"expected_kwh": 1e-4, "energy_at_stake_kwh": 1e-4}

# A query on the tables' names -> its one row.
Ask = Callable[[str], tuple[float | None, ...]]
# Table -> measure -> (value, scale of its tolerance).
Digest = dict[str, dict[str, tuple[float, float]]]


@dataclass(frozen=True)
class Kept:
    """A table that every contender keeps, by its columns. Those that are the same in all rows are left out."""

    keys: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    listed: Mapping[str, tuple[str, ...]] | None = None

    def measures(self) -> dict[str, tuple[str, str]]:
        """Name of a measure -> (SQL of its value, SQL of the scale of its tolerance)."""
        found = {"rows": ("count(*)", "0")}
        for name in self.numbers:
            value = f"cast({name} as double)"
            scale = f"count({name})" if name in ROUNDED else f"sum(abs({value}))"
            found |= {f"known {name}": (f"count({name})", "0"), f"sum {name}": (f"sum({value})", scale)}
        for name in self.flags:
            found[f"count {name}"] = (f"count_if({name})", "0")
        for name in (*self.keys, *self.texts):
            if name not in (*self.days, *self.times):
                found[f"length {name}"] = (f"sum(length({name}))", f"sum(length({name}))")
        for name in self.days:
            found[f"days {name}"] = (f"sum(31 * month({name}) + day({name}))", "0")
        for name in self.times:
            found[f"times {name}"] = (f"sum(day({name}) * 1440 + hour({name}) * 60 + minute({name}))", "0")
        for name, values in (self.listed or {}).items():
            for value in values:
                found[f"{name} {value}"] = (f"count_if(array_contains({name}, '{value}'))", "0")
        return found


CONSUMPTION = (
    "consumption_kwh",
    "avg_power_kw",
    "max_power_kw",
    "min_power_kw",
    "avg_voltage_v",
    "reading_count",
    "expected_count",
    "completeness",
)
PEAK = ("peak_hour_of_day", "peak_hour_kwh", "peak_power_kw")
PLACE = ("region", "feeder")
REASONS = (
    "unparsable",
    "missing_meter",
    "missing_value",
    "missing_timestamp",
    "negative_energy",
    "energy_out_of_range",
    "voltage_out_of_range",
    "temperature_out_of_range",
    "future_timestamp",
    "off_cadence_timestamp",
    "exact_duplicate",
    "conflicting_duplicate",
)
READING = ("reading_id", "meter_id", "reading_timestamp", "reading_date_local")

TABLES: dict[str, Kept] = {
    "readings": Kept(
        keys=READING,
        numbers=("consumption_kwh", "active_power_kw", "voltage_v", "temperature_c", "hour_of_day", "day_of_week"),
        days=("reading_date_local",),
        times=("reading_timestamp",),
    ),
    "rejected": Kept(
        keys=("meter_id", "reading_timestamp"),
        numbers=("consumption_kwh",),
        times=("reading_timestamp",),
        texts=("raw_line",),
        listed={"reasons": REASONS},
    ),
    "hourly": Kept(
        keys=("meter_id", "hour_start", "reading_date_local"),
        numbers=("hour_of_day", *CONSUMPTION),
        days=("reading_date_local",),
        times=("hour_start",),
    ),
    "daily": Kept(
        keys=("meter_id", "reading_date_local"),
        numbers=(*CONSUMPTION, *PEAK),
        days=("reading_date_local",),
        times=("peak_hour_start",),
    ),
    "monthly": Kept(
        keys=("meter_id", "month_local"),
        numbers=(*CONSUMPTION, *PEAK),
        days=("month_local",),
        times=("peak_hour_start",),
    ),
    "features": Kept(
        keys=READING,
        numbers=(
            "consumption_kwh",
            "active_power_kw",
            "rolling_mean_kwh_1h",
            "rolling_mean_kwh_24h",
            "rolling_std_kwh_24h",
            "ratio_to_mean_24h",
            "same_hour_last_day_kwh",
            "same_hour_last_week_kwh",
            "hour_of_day",
            "day_of_week",
            "month_of_year",
            "temperature_c",
        ),
        flags=("is_weekend",),
        days=("reading_date_local",),
        times=("reading_timestamp",),
    ),
    "mart_anomaly_scores": Kept(
        keys=READING,
        numbers=("consumption_kwh", "active_power_kw", "expected_kwh", "anomaly_score", "raw_score"),
        texts=("anomaly_type", "reasons"),
        flags=("is_anomaly",),
        days=("reading_date_local",),
        times=("reading_timestamp",),
    ),
    "mart_anomaly_flags": Kept(
        keys=("meter_id", "reading_date_local"),
        numbers=("reading_count", "flagged_count", "scored_kwh", "worst_score", "energy_at_stake_kwh"),
        texts=(*PLACE, "main_type", "reasons"),
        days=("reading_date_local",),
        times=("worst_reading_timestamp",),
    ),
    "mart_consumption_metrics": Kept(
        keys=("meter_id", "period", "period_start_local"),
        numbers=(
            "consumption_kwh",
            "previous_kwh",
            "change_pct",
            "year_before_kwh",
            "year_change_pct",
            "peak_power_kw",
            "peak_hour_of_day",
            "load_factor",
            "reading_count",
            "expected_count",
            "completeness",
        ),
        texts=PLACE,
        days=("period_start_local",),
    ),
    "mart_load_profile": Kept(
        keys=("meter_id", "month_local", "day_type"),
        numbers=("mean_load_kw", "energy_kwh", "hours", "hour_of_day"),
        texts=(*PLACE, "season"),
        days=("month_local",),
    ),
}


class Disagreement(Exception):
    """Two contenders did not come to the same result."""

    def __init__(self, table: str, measure: str, first: tuple[str, float], second: tuple[str, float]) -> None:
        self.table, self.measure = table, measure
        super().__init__(f"{table}: {measure} is {first[1]:.12g} with {first[0]} and {second[1]:.12g} with {second[0]}")


def digest(ask: Ask, where: str = "true") -> Digest:
    """Every measure of every table, of the rows that meet a condition."""
    found: Digest = {}
    for table, kept in TABLES.items():
        measures = kept.measures()
        columns = ", ".join(f"{value}, {scale}" for value, scale in measures.values())
        numbers = [float(number or 0) for number in ask(f"SELECT {columns} FROM {table} WHERE {where}")]
        found[table] = dict(zip(measures, zip(numbers[::2], numbers[1::2], strict=True), strict=True))
    return found


def compare(first: str, one: Digest, second: str, other: Digest, without: tuple[str, ...] = ()) -> int:
    """Number of measures that agree.

    Raises:
        Disagreement: the first one that does not.
    """
    agreed = 0
    for table in (name for name in TABLES if name not in without):
        for measure, (value, scale) in one[table].items():
            theirs = other[table][measure][0]
            if abs(value - theirs) > _tolerance(measure) * scale:
                raise Disagreement(table, measure, (first, value), (second, theirs))
            agreed += 1
    return agreed


def _tolerance(measure: str) -> float:
    kind, name = measure.split(" ", 1) if " " in measure else (measure, "")
    if kind == "sum":
        return ROUNDED.get(name, RELATIVE)
    return RELATIVE_TEXT if kind == "length" and name == "reasons" else 0.0
