"""What the last gate looks at: whether silver, aggregates and marts tell the same story, per day, week and month.

Every table contributes its sums per meter and period; one shuffle by meter and period brings them side by side, and a
meter whose sums differ is counted in a fact of the period. Meters are compared one by one, so that the errors of two
meters cannot cancel.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial, reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.quality.completeness import completeness
from meterlake.sources.source import Source
from meterlake.tables.catalog import TABLES
from meterlake.tables.file_scan import FileScan
from meterlake.tables.partial_sums import on_grid, summed
from meterlake.transforms.int_readings_hourly import exact_sum
from meterlake.transforms.mart_anomaly_flags import TYPES
from meterlake.transforms.stg_meter_readings import GRID

EXACT_KWH = 1e-6  # between two sums of unrounded readings
ROUNDING_KWH = 5e-5  # what publishing with four decimals may move a value
PROFILE_CELLS = 48  # a month's load profile is 24 hours of weekdays and 24 of weekends, each rounded
LEAST_READINGS = 1000  # of fewer readings, the share that is flagged says little
KEY = ("kind", "meter_id", "start")
# What cannot be asked of a source that has no model yet.
FACTS_OF_A_MODEL = ("readings_without_score", "scores_unlike_readings")
METER_DAY = ("meter_id", "reading_date_local")
# Tables of so many rows that tasks add them up where they can read the files.
SUMMED_BY_TASKS = ("stg_meter_readings", "int_readings_hourly", "mart_anomaly_scores")

Frames = Mapping[str, DataFrame]
Files = Mapping[str, FileScan]
Bounds = tuple[date | None, date | None]


def marts_profile(
    frames: Frames,
    source: Source,
    threshold: float,
    changed: Bounds = (None, None),
    has_model: bool = True,
    files: Files | None = None,
) -> DataFrame:
    """Facts about each day, week and month that holds a changed day, and about the run as a whole.

    Args:
        frames: all rows of the source, by table: stg_meter_readings, int_readings_hourly, int_readings_daily,
            int_readings_monthly and the marts. Only the rows of the periods concerned are read.
        threshold: scores above it are flagged.
        changed: first and last changed local day; None when every day is to be judged.
        has_model: whether readings have to have scores; else FACTS_OF_A_MODEL are left out.
        files: of SUMMED_BY_TASKS, or some of them, the files that hold the rows of `days_to_read`, in which tasks add
            up millions of rows: some 5 CPU seconds instead of 9 for 11.5 M readings (docs/performance.md).
    """
    sums = _sums(frames, files or {}, source, threshold, changed)
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


def days_to_read(table: str, changed: Bounds) -> Bounds:
    """The days whose rows of one of SUMMED_BY_TASKS the facts about changed days take."""
    return _whole_periods(changed) if table == "int_readings_hourly" else changed


def _sums(frames: Frames, files: Files, source: Source, threshold: float, changed: Bounds) -> list[DataFrame]:
    """Each table's sums per meter and period: `kind`, `meter_id`, `start`, and what the table knows of the period."""
    days = _between(frames, changed)
    around = _between(frames, _whole_periods(changed))
    day, month = F.col("reading_date_local"), F.col("month_local")
    readings, hours, scores = (files.get(name) for name in SUMMED_BY_TASKS)
    complete = completeness(days["int_readings_daily"], source)
    flags = {"flags_scored": "reading_count", "flags_flagged": "flagged_count", "flags_worst": "worst_score"}
    return [
        _readings(readings or days["stg_meter_readings"], source),
        _scores(scores or days["mart_anomaly_scores"], threshold),
        _in_periods(_hours(hours or around["int_readings_hourly"]), "hours"),
        _in_periods(around["int_readings_daily"], "days"),
        _rows(around["int_readings_monthly"], "month", month, **_known("months")),
        _metrics(around["mart_consumption_metrics"], source),
        _rows(around["mart_load_profile"], "month", month, profile_kwh=F.col("energy_kwh").cast("double")),
        _rows(days["mart_anomaly_flags"], "day", day, **{name: F.col(column) for name, column in flags.items()}),
        _rows(complete, "day", day, expected=F.col("expected_count"), present=F.col("reading_count")),
    ]


def _readings(readings: DataFrame | FileScan, source: Source) -> DataFrame:
    """Summed here, as there are millions of them; what is smaller is summed side by side."""
    if isinstance(readings, FileScan):
        columns = ("consumption_kwh", "quality", "interval_minutes")
        days = summed(readings, METER_DAY, columns, partial(_of_readings, source=source))
        days = days.withColumns({name: F.col(name) / GRID for name in ("readings_kwh", "metered_kwh")})
    else:
        days = _readings_of_rows(readings, source)
    sums = {name: F.col(name) for name in days.columns[2:]}
    return _rows(days, "day", F.col("reading_date_local"), **sums)


def _readings_of_rows(readings: DataFrame, source: Source) -> DataFrame:
    metered = F.when(F.col("quality") != "estimated", F.col("consumption_kwh"))
    if source.varies:  # a longer reading is split for the scores: its parts are estimates
        metered = F.when(F.col("interval_minutes") <= source.interval_minutes, metered)
    minutes = F.sum(F.when(F.col("metered").isNotNull(), F.col("interval_minutes")).otherwise(0))
    return (
        readings.withColumn("metered", metered)
        .groupBy(*METER_DAY)
        .agg(
            exact_sum("consumption_kwh").alias("readings_kwh"),
            F.count("consumption_kwh").alias("readings_count"),
            exact_sum("metered").alias("metered_kwh"),  # an estimate gets no score
            F.count("metered").alias("metered_count"),
            F.count("*").alias("readings_all"),
            minutes.alias("metered_minutes"),
        )
    )


def _of_readings(readings: pa.RecordBatch, source: Source) -> Mapping[str, pa.Array]:
    """What `_readings_of_rows` counts and adds up, energies on their grid."""
    kwh = on_grid(readings["consumption_kwh"], GRID)
    counts = pc.fill_null(pc.not_equal(readings["quality"], "estimated"), False)
    if source.varies:
        counts = pc.and_(counts, pc.less_equal(readings["interval_minutes"], source.interval_minutes))
    metered = pc.if_else(counts, kwh, None)
    return {
        "readings_kwh": kwh,
        "readings_count": pc.is_valid(kwh),
        "metered_kwh": metered,
        "metered_count": pc.is_valid(metered),
        "readings_all": pa.repeat(1, readings.num_rows),
        "metered_minutes": pc.if_else(pc.is_valid(metered), readings["interval_minutes"], 0).cast(pa.int64()),
    }


def _hours(hours: DataFrame | FileScan) -> DataFrame:
    if isinstance(hours, FileScan):
        columns = ("consumption_kwh", "reading_count")
        days = summed(hours, METER_DAY, columns, _of_hours)
        return days.withColumn("consumption_kwh", F.col("consumption_kwh") / GRID)
    return hours.groupBy(*METER_DAY).agg(
        exact_sum("consumption_kwh").alias("consumption_kwh"), F.sum("reading_count").alias("reading_count")
    )


def _of_hours(hours: pa.RecordBatch) -> Mapping[str, pa.Array]:
    return {"consumption_kwh": on_grid(hours["consumption_kwh"], GRID), "reading_count": hours["reading_count"]}


def _scores(scores: DataFrame | FileScan, threshold: float) -> DataFrame:
    if isinstance(scores, FileScan):
        columns = ("consumption_kwh", "is_anomaly", "anomaly_type", "anomaly_score")
        of_scores = partial(_of_scores, threshold=threshold)
        days = summed(scores, METER_DAY, columns, of_scores, largest={"worst": "anomaly_score"})
        days = days.withColumn("scores_kwh", F.col("scores_kwh").cast("double"))
    else:
        days = _scores_of_rows(scores, threshold)
    return _rows(days, "day", F.col("reading_date_local"), **{name: F.col(name) for name in days.columns[2:]})


def _scores_of_rows(scores: DataFrame, threshold: float) -> DataFrame:
    sums = {
        "scores_kwh": F.sum("consumption_kwh").cast("double"),
        "scored": F.count("*"),
        "flagged": F.count_if("is_anomaly"),
        "worst": F.max("anomaly_score"),
        **{name: F.count_if(fault) for name, fault in _score_faults(threshold).items()},
    }
    return scores.groupBy(*METER_DAY).agg(*(column.alias(name) for name, column in sums.items()))


def _of_scores(scores: pa.RecordBatch, threshold: float) -> Mapping[str, pa.Array]:
    """What `_scores_of_rows` counts and adds up, and which rows have a fault of `_score_faults`."""
    score, flagged, kind = scores["anomaly_score"], scores["is_anomaly"], scores["anomaly_type"]
    in_range = pc.and_(pc.greater_equal(score, 0.0), pc.less_equal(score, 1.0))
    above, marked = (pc.fill_null(told.cast(pa.int8()), -1) for told in (pc.greater(score, threshold), flagged))
    untyped = pc.invert(pc.is_in(kind, pa.array(TYPES)))
    return {
        "scores_kwh": scores["consumption_kwh"],
        "scored": pa.repeat(1, scores.num_rows),
        "flagged": flagged,
        "scores_out_of_range": pc.invert(pc.fill_null(in_range, False)),
        "flags_unlike_threshold": pc.not_equal(marked, above),
        "types_unlike_flags": pc.if_else(pc.fill_null(flagged, False), untyped, pc.is_valid(kind)),
    }


def _metrics(metrics: DataFrame, source: Source) -> DataFrame:
    faults = {name: fault.cast("int") for name, fault in _metric_faults(source).items()}
    sums = {"mart_kwh": F.col("consumption_kwh").cast("double"), "mart_count": F.col("reading_count")}
    return _rows(metrics, F.col("period"), F.col("period_start_local"), **sums, **faults)


def _in_periods(daily: DataFrame, name: str) -> DataFrame:
    """A day's energy and known readings, for the day, its week and its month."""
    day = F.col("reading_date_local")
    starts = {"day": day, "week": F.trunc(day, "week"), "month": F.trunc(day, "month")}
    periods = F.array(*(F.struct(F.lit(kind).alias("kind"), start.alias("start")) for kind, start in starts.items()))
    exploded = daily.withColumn("period", F.explode(periods))
    return _rows(exploded, F.col("period.kind"), F.col("period.start"), **_known(name))


def _known(name: str) -> dict[str, Column]:
    """Energy and number of known readings of an aggregate."""
    return {f"{name}_kwh": F.col("consumption_kwh"), f"{name}_count": F.col("reading_count")}


def _rows(frame: DataFrame, kind: Column | str, start: Column, **measures: Column) -> DataFrame:
    named = F.lit(kind) if isinstance(kind, str) else kind
    key = [named.alias("kind"), F.col("meter_id"), start.cast("date").alias("start")]
    return frame.select(*key, *(column.alias(name) for name, column in measures.items()))


def _score_faults(threshold: float) -> dict[str, Column]:
    """What can be wrong with a row of mart_anomaly_scores: fact -> condition."""
    flagged, score, known_type = F.col("is_anomaly"), F.col("anomaly_score"), F.col("anomaly_type").isin(*TYPES)
    return {
        "scores_out_of_range": ~F.coalesce(score.between(0, 1), F.lit(False)),
        "flags_unlike_threshold": ~flagged.eqNullSafe(score > threshold),
        "types_unlike_flags": F.when(flagged, ~F.coalesce(known_type, F.lit(False))).otherwise(
            F.col("anomaly_type").isNotNull()
        ),
    }


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
        "profiles_unlike_hours": ("month", _energy_differs("profile", "hours", F.lit(PROFILE_CELLS * ROUNDING_KWH))),
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
        F.when(~of_run, F.count("*")).alias("meters"),
        *(F.sum(F.when(kind == of, d.cast("int"))).alias(name) for name, (of, d) in differences.items()),
        *(F.sum(name).alias(name) for name in (*_score_faults(threshold), *_metric_faults(source))),
        F.when(of_run, F.try_divide(F.sum("present"), F.sum("expected"))).alias("completeness"),
        F.when(enough, F.sum("flagged") / F.sum("scored")).alias("flagged_share"),
    ]


def _between(frames: Frames, bounds: Bounds) -> dict[str, DataFrame]:
    """The rows between two days, by literals, so that Delta skips the files of other days."""
    first, last = bounds
    if first is None or last is None:
        return dict(frames)
    days = {name: TABLES[name].day or "" for name in frames}
    return {name: frame.where(F.col(days[name]).between(first, last)) for name, frame in frames.items()}


def _whole_periods(changed: Bounds) -> Bounds:
    """The days of all weeks and months that hold a changed day."""
    first, last = changed
    if first is None or last is None:
        return changed
    monday, sunday = first - timedelta(days=first.weekday()), last + timedelta(days=6 - last.weekday())
    next_month = last.replace(day=28) + timedelta(days=4)
    return min(monday, first.replace(day=1)), max(sunday, next_month.replace(day=1) - timedelta(days=1))


def _concerned(changed: Bounds) -> Column:
    """Whether the period `kind`, `start` holds a changed day; of the others not all rows were read."""
    first, last = changed
    if first is None or last is None:
        return F.lit(True)
    earliest = {"day": first, "week": first - timedelta(days=first.weekday()), "month": first.replace(day=1)}
    holds = (F.col("kind") == kind for kind in earliest)
    starts = (F.col("start").between(start, last) for start in earliest.values())
    return reduce(Column.__or__, (kind & start for kind, start in zip(holds, starts, strict=True)))
