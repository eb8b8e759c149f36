"""What the last gate looks at: whether silver, aggregates and marts tell the same story, per day, week and month.

Every table contributes its sums per meter and period; one shuffle by meter and period brings them side by side, and a
meter whose sums differ is counted in a fact of the period. Meters are compared one by one, so that the errors of two
meters cannot cancel. A mart that knows no meter is compared with the sum of all.

Changed days are compared with their readings and hours, and the weeks and months that hold them with their days: of a
month there are millions of hours.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.quality import meter_days
from meterlake.quality.completeness import completeness
from meterlake.session import Begin, as_it_is
from meterlake.sources.source import Source
from meterlake.tables.catalog import TABLES
from meterlake.tables.file_scan import FileScan
from meterlake.tables.spans import last_day

EXACT_KWH = 1e-6  # between two sums of unrounded readings
ROUNDING_KWH = 5e-5  # what publishing with four decimals may move a value
PROFILE_CELLS = 48  # a month's load profile is 24 hours of weekdays and 24 of weekends, each rounded
LEAST_READINGS = 1000  # of fewer readings, the share that is flagged says little
KEY = ("kind", "meter_id", "start")
# What cannot be asked of a source that has no model yet.
FACTS_OF_A_MODEL = ("readings_without_score", "scores_unlike_readings")
# Tables of so many rows that tasks add them up where they can read the files: by meter-day, and by meter and month.
SUMMED_BY_DAY = ("stg_meter_readings", "int_readings_hourly", "mart_anomaly_scores")
SUMMED_BY_MONTH = ("int_readings_daily", "mart_load_profile")

Frames = Mapping[str, DataFrame]
Files = Mapping[str, FileScan]
Bounds = tuple[date | None, date | None]
NO_FILES: Files = {}


def marts_profile(
    frames: Frames,
    source: Source,
    threshold: float,
    changed: Bounds = (None, None),
    has_model: bool = True,
    files: Files = NO_FILES,
    begin: Begin = as_it_is,
) -> DataFrame:
    """Facts about each day, week and month that holds a changed day, and about the run as a whole.

    Args:
        frames: all rows of the source, by table: stg_meter_readings, int_readings_hourly, int_readings_daily,
            int_readings_monthly and the marts. Only the rows of the periods concerned are read.
        threshold: scores above it are flagged.
        changed: first and last changed local day; None when every day is to be judged.
        has_model: whether readings have to have scores; else FACTS_OF_A_MODEL are left out.
        files: of SUMMED_BY_DAY the files that hold the rows of the changed days, and of SUMMED_BY_MONTH of
            `whole_periods`, or some of them, in which tasks add up millions of rows: some 5 CPU seconds instead of 9
            for 11.5 M readings (docs/performance.md).
        begin: of `session.begun`, for what tasks make of files.
    """
    sums = _sums(frames, files, source, threshold, changed, begin)
    side_by_side = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), sums)
    names = [name for name in side_by_side.columns if name not in KEY]
    by_meter = side_by_side.where(_concerned(changed)).groupBy(*KEY).agg(*(F.sum(name).alias(name) for name in names))
    # A day speaks for itself and for the run.
    kinds = F.when(F.col("kind") == "day", F.array(F.lit("day"), F.lit("run"))).otherwise(F.array("kind"))
    start = F.when(F.col("kind") != "run", F.col("start"))
    subject = F.concat_ws(" ", "kind", start).alias("subject")
    return (
        by_meter.withColumn("kind", F.explode(kinds))
        .groupBy("kind", subject)
        .agg(*_facts(source, threshold, has_model))
    )


def _sums(
    frames: Frames, files: Files, source: Source, threshold: float, changed: Bounds, begin: Begin
) -> list[DataFrame]:
    """Each table's sums per meter and period: `kind`, `meter_id`, `start`, and what the table knows of the period."""
    days = _between(frames, changed)
    around = _between(frames, whole_periods(changed))
    day, month = F.col("reading_date_local"), F.col("month_local")
    (silver, hourly, scored), (daily, profiles) = SUMMED_BY_DAY, SUMMED_BY_MONTH
    sums = {
        silver: meter_days.readings(files.get(silver, days[silver]), source),
        hourly: meter_days.hours(files.get(hourly, days[hourly])),
        scored: meter_days.scores(files.get(scored, days[scored]), threshold),
        daily: meter_days.days(files.get(daily, around[daily])),
        profiles: meter_days.profiles(files.get(profiles, around[profiles])),
    }
    sums |= {name: begin(sums[name]) for name in files}
    complete = completeness(days[daily], source)
    flags = {"flags_scored": "reading_count", "flags_flagged": "flagged_count", "flags_worst": "worst_score"}
    return [
        _days(sums[silver]),
        _days(sums[hourly]),
        _days(sums[scored]),
        _in_periods(_between({daily: frames[daily]}, _whole_weeks(changed))[daily]),
        _months(sums[daily]),
        _rows(around["int_readings_monthly"], "month", month, **_known("months")),
        _metrics(around["mart_consumption_metrics"], source),
        _months(sums[profiles]),
        _weeks(around["mart_weekly_load_profile"]),
        _rows(days["mart_anomaly_flags"], "day", day, **{name: F.col(column) for name, column in flags.items()}),
        _rows(complete, "day", day, expected=F.col("expected_count"), present=F.col("reading_count")),
    ]


def _metrics(metrics: DataFrame, source: Source) -> DataFrame:
    faults = {name: fault.cast("int") for name, fault in _metric_faults(source).items()}
    sums = {"mart_kwh": F.col("consumption_kwh").cast("double"), "mart_count": F.col("reading_count")}
    return _rows(metrics, F.col("period"), F.col("period_start_local"), **sums, **faults)


def _weeks(profile: DataFrame) -> DataFrame:
    """Energy and number of the cells of a month's weekly profiles, of no meter."""
    of_all = profile.withColumn("meter_id", F.lit(None).cast("string"))
    sums = {"weekly_kwh": F.col("energy_kwh").cast("double"), "weekly_cells": F.lit(1)}
    return _rows(of_all, "month", F.col("month_local"), **sums)


def _days(sums: DataFrame) -> DataFrame:
    """Sums of meter-days under their own names."""
    return _rows(sums, "day", F.col("reading_date_local"), **{name: F.col(name) for name in sums.columns[2:]})


def _months(sums: DataFrame) -> DataFrame:
    """Sums of a meter's months under their own names."""
    return _rows(sums, "month", F.col("month_local"), **{name: F.col(name) for name in sums.columns[2:]})


def _in_periods(daily: DataFrame) -> DataFrame:
    """A day's energy and known readings, for the day and its week."""
    day = F.col("reading_date_local")
    starts = {"day": day, "week": F.trunc(day, "week")}
    periods = F.array(*(F.struct(F.lit(kind).alias("kind"), start.alias("start")) for kind, start in starts.items()))
    exploded = daily.withColumn("period", F.explode(periods))
    return _rows(exploded, F.col("period.kind"), F.col("period.start"), **_known("days"))


def _known(name: str) -> dict[str, Column]:
    """Energy and number of known readings of an aggregate."""
    return {f"{name}_kwh": F.col("consumption_kwh"), f"{name}_count": F.col("reading_count")}


def _rows(frame: DataFrame, kind: Column | str, start: Column, **measures: Column) -> DataFrame:
    named = F.lit(kind) if isinstance(kind, str) else kind
    key = [named.alias("kind"), F.col("meter_id"), start.cast("date").alias("start")]
    return frame.select(*key, *(column.alias(name) for name, column in measures.items()))


def _metric_faults(source: Source) -> dict[str, Column]:
    """What can be wrong with a row of mart_consumption_metrics: fact -> condition."""
    least = 0.0 if source.limits.consumption_kwh[0] >= 0 else -1.0  # a meter that feeds in has a negative mean
    return {
        "load_factors_out_of_range": ~F.col("load_factor").between(least - 1e-6, 1 + 1e-6),
        "more_readings_than_intervals": F.col("reading_count") > F.col("expected_count"),
    }


def _differences() -> dict[str, tuple[str, Column]]:
    """Between the sums of one meter and period: fact -> kind of period it is about, condition."""
    mart, scored = _differ("days", "mart", ROUNDING_KWH), F.coalesce("scored", F.lit(0))
    flagged, flags = F.coalesce("flagged", F.lit(0)), F.coalesce("flags_flagged", F.lit(0))
    worst_differs = (F.abs(F.col("worst") - F.col("flags_worst")) > 1e-9) | (F.col("flags_scored") != scored)
    return {
        "days_unlike_readings": ("day", _differ("days", "readings")),
        "days_unlike_hours": ("day", _differ("days", "hours")),
        "days_unlike_mart": ("day", mart),
        "weeks_unlike_mart": ("week", mart),
        "months_unlike_mart": ("month", mart),
        "months_unlike_days": ("month", _differ("months", "days")),
        "profiles_unlike_days": ("month", _energy_differs("profile", "days", F.lit(PROFILE_CELLS * ROUNDING_KWH))),
        "readings_without_score": ("day", ~scored.between(*_counts("metered_count", "readings_all"))),
        "scores_unlike_readings": ("day", _energy_differs("scores", "metered", scored * ROUNDING_KWH)),
        "flags_unlike_scores": ("day", (flagged != flags) | F.coalesce(worst_differs, F.lit(False))),
    }


def differences_of_lengths(minutes: int) -> dict[str, tuple[str, Column]]:
    """The same of scores about intervals of so many minutes that are made of shorter readings.

    A reading that is not metered costs the score of its interval at most, so a whole day has all its scores and energy.
    """
    scored, metered = _counts("scored", "metered_minutes")
    unmetered = F.coalesce("expected", F.lit(0)) - F.coalesce("metered_count", F.lit(0))
    enough = scored * minutes >= metered - unmetered * minutes
    differs = _energy_differs("scores", "metered", scored * ROUNDING_KWH)
    return {
        "readings_without_score": ("day", ~(enough & (scored * minutes <= metered))),
        "scores_unlike_readings": ("day", (unmetered <= 0) & differs),
    }


def _counts(*names: str) -> list[Column]:
    return [F.coalesce(name, F.lit(0)) for name in names]


def _differ(one: str, other: str, tolerance_kwh: float = 0.0) -> Column:
    """Whether the energies or the numbers of known readings of two tables differ; absence differs from presence."""
    counts_differ = ~F.col(f"{one}_count").eqNullSafe(F.col(f"{other}_count"))
    return counts_differ | _energy_differs(one, other, F.lit(tolerance_kwh))


def _energy_differs(one: str, other: str, tolerance_kwh: Column) -> Column:
    left, right = F.col(f"{one}_kwh"), F.col(f"{other}_kwh")
    return F.coalesce(F.abs(left - right) > tolerance_kwh + EXACT_KWH, left.isNull() != right.isNull())


def _facts(source: Source, threshold: float, has_model: bool) -> list[Column]:
    """Facts of a period over its meters: how many differ, how many rows are wrong, and the shares."""
    kind = F.col("kind")
    of_run = kind == "run"
    enough = of_run & (F.sum("scored") >= LEAST_READINGS)
    differences = _differences()
    if source.varies:
        differences |= differences_of_lengths(source.interval_minutes)
    if not has_model:
        differences = {name: told for name, told in differences.items() if name not in FACTS_OF_A_MODEL}
    return [
        # A period has a row per meter. Of the run they are not told: counting distinct ones would double its plan.
        F.when(~of_run, F.count("meter_id")).alias("meters"),
        *(F.sum(F.when(kind == of, d.cast("int"))).alias(name) for name, (of, d) in differences.items()),
        *([_weekly_differs().alias("weekly_profiles_unlike_days")] if source.tells_hours else []),
        *(F.sum(name).alias(name) for name in (*meter_days.score_faults(threshold), *_metric_faults(source))),
        F.when(of_run, F.try_divide(F.sum("present"), F.sum("expected"))).alias("completeness"),
        F.when(enough, F.sum("flagged") / F.sum("scored")).alias("flagged_share"),
    ]


def _weekly_differs() -> Column:
    """Of a month 1 where its weekly profiles do not hold the energy of its days, each cell rounded."""
    days, weekly, cells = (F.coalesce(F.sum(name), F.lit(0)) for name in ("days_kwh", "weekly_kwh", "weekly_cells"))
    differs = F.abs(days - weekly) > cells * ROUNDING_KWH + EXACT_KWH
    return F.when(F.col("kind") == "month", differs.cast("int"))


def _between(frames: Frames, bounds: Bounds) -> dict[str, DataFrame]:
    """The rows between two days, by literals, so that Delta skips the files of other days."""
    first, last = bounds
    if first is None or last is None:
        return dict(frames)
    days = {name: TABLES[name].day or "" for name in frames}
    return {name: frame.where(F.col(days[name]).between(first, last)) for name, frame in frames.items()}


def whole_periods(changed: Bounds) -> Bounds:
    """The days of all weeks and months that hold a changed day."""
    first, last = changed
    if first is None or last is None:
        return changed
    return min(_monday(first), first.replace(day=1)), max(_monday(last) + timedelta(days=6), last_day(last))


def _whole_weeks(changed: Bounds) -> Bounds:
    """The days of all weeks that hold one."""
    first, last = changed
    return changed if first is None or last is None else (_monday(first), _monday(last) + timedelta(days=6))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _concerned(changed: Bounds) -> Column:
    """Whether the period `kind`, `start` holds a changed day; of the others not all rows were read."""
    first, last = changed
    if first is None or last is None:
        return F.lit(True)
    earliest = {"day": first, "week": _monday(first), "month": first.replace(day=1)}
    holds = (F.col("kind") == kind for kind in earliest)
    starts = (F.col("start").between(start, last) for start in earliest.values())
    return reduce(Column.__or__, (kind & start for kind, start in zip(holds, starts, strict=True)))
