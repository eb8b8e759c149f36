"""The facts of the last gate: every way in which the tables can disagree has its fact, and a true story has none."""

from datetime import date, datetime

import pyarrow.compute as pc
import pytest
from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from meterlake import validate
from meterlake.quality.meter_days import of_scores, scores_of_rows
from meterlake.quality.profile_marts import (
    NO_FILES,
    SUMMED_BY_DAY,
    SUMMED_BY_MONTH,
    Bounds,
    differences_of_lengths,
    marts_profile,
)
from meterlake.run import Run
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.catalog import TABLES
from meterlake.tables.store import Store
from meterlake.transforms.mart_anomaly_flags import TYPES

THRESHOLD, DAY = 0.6, "reading_date_local"
SHARES = ("meters", "completeness", "flagged_share")

Story = dict[str, DataFrame]
Rows = list[dict[str, object]]


def profiled(story: Story, source: Source, changed: Bounds = (None, None)) -> Rows:
    return [row.asDict() for row in marts_profile(story, source, THRESHOLD, changed).collect()]


def subjects_by_fact(rows: Rows) -> dict[str, set[object]]:
    """The subjects of each fact that is not 0; the run repeats what its days say and is left out."""
    found: dict[str, set[object]] = {}
    for row in rows:
        for fact, value in row.items():
            if value and row["kind"] != "run" and fact not in ("kind", "subject", *SHARES):
                found.setdefault(fact, set()).add(row["subject"])
    return found


def changed(frame: DataFrame, where: Column, **values: Column) -> DataFrame:
    """The frame with new values in the rows where the condition holds; types stay."""
    types = frame.schema
    return frame.withColumns(
        {n: F.when(where, v.cast(types[n].dataType)).otherwise(F.col(n)) for n, v in values.items()}
    )


def one_score(scores: DataFrame, day: str, flagged: bool) -> Column:
    """A condition that holds for one row of the day."""
    rows = scores.where((F.col("reading_date_local") == day) & (F.col("is_anomaly") == flagged))
    first = rows.agg(F.min("reading_id")).first()
    assert first is not None
    assert first[0] is not None
    return F.col("reading_id") == first[0]


def test_a_true_story_has_no_faults(story: Story, london: Source) -> None:
    rows = profiled(story, london)
    assert subjects_by_fact(rows) == {}
    kinds = [row["kind"] for row in rows]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"day": 21, "week": 3, "month": 2, "run": 1}


def test_the_run_has_its_completeness_and_flagged_share(story: Story, london: Source) -> None:
    (run,) = [row for row in profiled(story, london) if row["kind"] == "run"]
    scores = story["mart_anomaly_scores"]
    known, flagged = scores.count(), scores.where("is_anomaly").count()
    assert run["completeness"] == pytest.approx(known / (2 * (21 * 48 + 2)))
    assert run["flagged_share"] == pytest.approx(flagged / known)


def test_the_share_of_few_readings_is_not_judged(story: Story, london: Source) -> None:
    rows = profiled(story, london, (date(2024, 10, 29), date(2024, 10, 30)))
    assert [row["flagged_share"] for row in rows if row["kind"] == "run"] == [None]


def test_sums_that_disagree_are_found_where_they_do(story: Story, london: Source) -> None:
    more, day, meter = F.col("consumption_kwh") + 0.001, F.col("reading_date_local"), F.col("meter_id") == "a"
    period, start = F.col("period"), F.col("period_start_local")
    readings, hourly, metrics = (
        story[name] for name in ("stg_meter_readings", "int_readings_hourly", "mart_consumption_metrics")
    )
    weekly, noon = story["mart_weekly_load_profile"], F.col("hour_of_day") == 12
    profile, october = story["mart_load_profile"], F.col("month_local") == "2024-10-01"
    metrics = changed(metrics, meter & (period == "day") & (start == "2024-10-26"), consumption_kwh=more)
    metrics = changed(metrics, meter & (period == "week") & (start == "2024-10-28"), consumption_kwh=more)
    metrics = changed(metrics, meter & (period == "month") & (start == "2024-11-01"), reading_count=F.lit(7))
    metrics = changed(metrics, meter & (period == "day") & (start == "2024-11-09"), load_factor=F.lit(1.2))
    metrics = changed(metrics, meter & (period == "week") & (start == "2024-11-04"), expected_count=F.lit(7))
    broken = story | {
        "stg_meter_readings": changed(readings, meter & noon & (day == "2024-10-22"), consumption_kwh=F.lit(9.0)),
        "int_readings_hourly": changed(hourly, meter & noon & (day == "2024-10-24"), consumption_kwh=F.lit(9.0)),
        "int_readings_monthly": changed(
            story["int_readings_monthly"], meter & (F.col("month_local") == "2024-11-01"), consumption_kwh=more
        ),
        "mart_consumption_metrics": metrics,
        "mart_load_profile": changed(
            profile, meter & october & noon & (F.col("day_type") == "weekend"), energy_kwh=F.col("energy_kwh") + 1
        ),
        "mart_weekly_load_profile": changed(
            weekly,
            (F.col("month_local") == "2024-11-01") & (F.col("weekday") == 7) & (F.col("hour_of_day") == 12),
            energy_kwh=F.col("energy_kwh") + 1,
        ),
    }
    assert subjects_by_fact(profiled(broken, london)) == {
        "days_unlike_readings": {"day 2024-10-22"},
        "scores_unlike_readings": {"day 2024-10-22"},
        "days_unlike_hours": {"day 2024-10-24"},
        "profiles_unlike_days": {"month 2024-10-01"},
        "weekly_profiles_unlike_days": {"month 2024-11-01"},
        "days_unlike_mart": {"day 2024-10-26"},
        "weeks_unlike_mart": {"week 2024-10-28"},
        "months_unlike_mart": {"month 2024-11-01"},
        "months_unlike_days": {"month 2024-11-01"},
        "load_factors_out_of_range": {"day 2024-11-09"},
        "more_readings_than_intervals": {"week 2024-11-04"},
    }


def test_scores_and_flags_that_disagree_are_found_where_they_do(story: Story, london: Source) -> None:
    scores, flags = story["mart_anomaly_scores"], story["mart_anomaly_flags"]
    flag_days = [
        str(row[0]) for row in flags.select("reading_date_local").distinct().sort("reading_date_local").collect()
    ]
    no_flag, (typed, gone) = "2024-10-22", flag_days[-2:]
    assert no_flag not in flag_days
    broken = changed(scores, one_score(scores, typed, True), anomaly_type=F.lit("odd"))
    broken = changed(broken, one_score(scores, no_flag, False), anomaly_score=F.lit(1.5))
    rows = profiled(
        story
        | {
            "mart_anomaly_scores": broken.where(~one_score(scores, gone, True)),
            "mart_anomaly_flags": flags.where(F.col("reading_date_local") != flag_days[0]),
        },
        london,
    )
    assert subjects_by_fact(rows) == {
        "types_unlike_flags": {f"day {typed}"},
        "scores_out_of_range": {f"day {no_flag}"},
        "flags_unlike_threshold": {f"day {no_flag}"},
        "readings_without_score": {f"day {gone}"},
        "scores_unlike_readings": {f"day {gone}"},
        "flags_unlike_scores": {f"day {gone}", f"day {flag_days[0]}"},
    }


def test_tasks_sum_up_the_same_of_files(
    spark_for_much: SparkSession, settings: Settings, story: Story, london: Source
) -> None:
    store = Store(spark_for_much, settings)
    odd, third = F.col("reading_timestamp") == datetime(2024, 10, 25, 12), F.abs(F.xxhash64("meter_id", DAY)) % 3 == 0
    scores = changed(story["mart_anomaly_scores"], odd, anomaly_score=F.lit(0.7))
    broken = story | {
        "mart_anomaly_scores": changed(scores, third, anomaly_type=F.lit("odd"), consumption_kwh=F.lit(None)),
        "stg_meter_readings": changed(
            story["stg_meter_readings"], third, quality=F.lit("estimated"), interval_minutes=F.lit(60)
        ),
    }
    by_tasks = {*SUMMED_BY_DAY, *SUMMED_BY_MONTH}
    for table in map(TABLES.__getitem__, by_tasks):
        gone = "2024-11-01" if table.day == "month_local" else "2024-11-03"
        store.append(broken[table.name].repartition(3, "meter_id", str(table.day)), table)
        DeltaTable.forPath(store.spark, store.path(table)).delete(f"meter_id = 'b' AND {table.day} = '{gone}'")
        broken[table.name] = store.read(table)
    of_lengths = london.model_copy(update={"format": london.format.model_copy(update={"layout": "nem12"})})
    bounds: Bounds
    for source, bounds in ((london, (None, None)), (of_lengths, (date(2024, 10, 29), date(2024, 11, 4)))):
        files = validate._files(Run(source, settings, store), bounds)
        assert set(files) == by_tasks
        found, expected = (
            sorted(marts_profile(broken, source, THRESHOLD, bounds, files=some).collect(), key=str)
            for some in (files, NO_FILES)
        )
        assert found == expected
        assert sum(row["types_unlike_flags"] or 0 for row in expected)


def test_tasks_find_faults_that_the_table_itself_refuses(spark: SparkSession) -> None:
    """A score beyond its range, and what is required and missing."""
    cases = [(0.7, True, "odd"), (1.5, True, TYPES[0]), (-0.1, False, None), (None, None, None), (0.7, None, "odd")]
    cases += [(0.5, True, None), (0.61, False, TYPES[1]), (0.6, False, None)]
    frame = spark.createDataFrame(cases, "anomaly_score double, is_anomaly boolean, anomaly_type string").withColumns(
        {"consumption_kwh": F.lit(1.5).cast("decimal(18,4)"), "meter_id": F.lit("a"), DAY: F.current_date()}
    )
    (expected,) = [row.asDict() for row in scores_of_rows(frame, THRESHOLD).collect()]
    found = of_scores(frame.toArrow().combine_chunks().to_batches()[0], THRESHOLD)
    assert {name: expected[name] for name in found if name != "scores_kwh"} == {
        name: pc.sum(values).as_py() for name, values in found.items() if name != "scores_kwh"
    }


def test_meters_that_are_swapped_do_not_cancel(story: Story, london: Source) -> None:
    metrics = story["mart_consumption_metrics"]
    day = (F.col("period") == "day") & (F.col("period_start_local") == "2024-10-26")
    swapped = changed(metrics, day, meter_id=F.when(F.col("meter_id") == "a", "b").otherwise("a"))
    rows = profiled(story | {"mart_consumption_metrics": swapped}, london)
    assert [(row["subject"], row["days_unlike_mart"]) for row in rows if row["days_unlike_mart"]] == [
        ("day 2024-10-26", 2)
    ]


def test_a_mart_that_is_empty_disagrees_everywhere(spark: SparkSession, story: Story, london: Source) -> None:
    nothing = spark.createDataFrame([], TABLES["mart_consumption_metrics"].schema)
    found = subjects_by_fact(profiled(story | {"mart_consumption_metrics": nothing}, london))
    assert {fact: len(subjects) for fact, subjects in found.items()} == {
        "days_unlike_mart": 21,
        "weeks_unlike_mart": 3,
        "months_unlike_mart": 2,
    }


def test_only_the_periods_of_changed_days_are_judged_and_those_whole(story: Story, london: Source) -> None:
    metrics = story["mart_consumption_metrics"]
    elsewhere = changed(metrics, F.col("period_start_local") == "2024-11-04", consumption_kwh=F.lit(0.5))
    rows = profiled(story | {"mart_consumption_metrics": elsewhere}, london, (date(2024, 10, 29), date(2024, 10, 30)))
    assert {row["subject"] for row in rows} == {
        "day 2024-10-29",
        "day 2024-10-30",
        "week 2024-10-28",
        "month 2024-10-01",
        "run",
    }
    assert subjects_by_fact(rows) == {}


def test_no_rows_give_no_facts(spark: SparkSession, story: Story, london: Source) -> None:
    assert profiled({name: spark.createDataFrame([], TABLES[name].schema) for name in story}, london) == []


# A meter's day with half-hourly scores: expected and metered readings, metered minutes, scores, energies -> faults.
DAYS_OF_LENGTHS = {
    "a whole day of 5 minutes": (288, 288, 1440, 48, 12.0, 12.0, set()),
    "a score is missing": (288, 288, 1440, 47, 11.75, 12.0, {"readings_without_score", "scores_unlike_readings"}),
    "a score too many": (288, 288, 1440, 49, 12.0, 12.0, {"readings_without_score"}),
    "other energy": (288, 288, 1440, 48, 13.0, 12.0, {"scores_unlike_readings"}),
    "a reading is missing and with it a score": (288, 287, 1435, 47, 11.75, 11.96, set()),
    "a reading is missing and two scores are": (288, 287, 1435, 46, 11.5, 11.96, {"readings_without_score"}),
    "two of one half-hour are missing": (96, 94, 1410, 47, 11.75, 11.75, set()),
    "estimates only": (48, 0, 0, 0, None, None, set()),
}


def test_scores_of_half_hours_are_compared_with_shorter_readings(spark: SparkSession) -> None:
    names = "day string, expected int, metered_count int, metered_minutes int, scored int, scores_kwh double"
    rows = [(day, *facts[:-1]) for day, facts in DAYS_OF_LENGTHS.items()]
    frame = spark.createDataFrame(rows, f"{names}, metered_kwh double")
    told = frame.select("day", *(fault.alias(name) for name, (_, fault) in differences_of_lengths(30).items()))
    found = {row["day"]: {name for name, raised in row.asDict().items() if raised is True} for row in told.collect()}
    assert found == {day: facts[-1] for day, facts in DAYS_OF_LENGTHS.items()}
