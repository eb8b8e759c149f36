"""Which rows a recovery takes, and which it must leave alone; what a release may not take. No step runs."""

from datetime import date, datetime

import pytest
from pyspark.sql import Row, SparkSession

from meterlake.errors import UsageError
from meterlake.recover.diff import ENERGY, diff
from meterlake.recover.quarantine import check_releasable
from meterlake.recover.scope import Scope, of_pairs
from meterlake.tables.catalog import MARTS
from meterlake.tables.changes import Changes
from meterlake.tables.mart_load_profile import MART_LOAD_PROFILE

SCHEMA = "source string, meter_id string, reading_date_local date, reading_timestamp timestamp"


def lines(spark: SparkSession) -> list[tuple[str, str | None, date | None, datetime | None]]:
    days = [(meter, date(2024, 1, day)) for meter in "ab" for day in range(1, 6)]
    rows = [("village", meter, day, datetime(day.year, day.month, day.day)) for meter, day in days]
    return [*rows, ("village", None, date(2024, 1, 3), datetime(2024, 1, 3)), ("village", "a", None, None)]


def taken(scope: Scope, spark: SparkSession, what: str = "of") -> list[str]:
    frame = spark.createDataFrame(lines(spark), SCHEMA)
    found = getattr(scope, what)(frame).collect()
    return sorted(f"{row.meter_id} {row.reading_date_local and row.reading_date_local.day}" for row in found)


def test_a_scope_takes_its_days_and_knows_its_edges(spark: SparkSession) -> None:
    period = Scope("village", date(2024, 1, 3), date(2024, 1, 4))
    assert taken(period, spark) == ["None 3", "a 3", "a 4", "b 3", "b 4"]
    assert taken(period, spark, "around") == ["a 2", "a 5", "b 2", "b 5"]
    assert len(taken(Scope("village"), spark)) == 12
    assert taken(Scope("village"), spark, "around") == []
    pairs = spark.createDataFrame(
        [("a", date(2024, 1, 2)), ("b", date(2024, 1, 4)), (None, None)], "meter_id string, reading_date_local date"
    )
    days = of_pairs("village", pairs)
    assert taken(days, spark) == ["None 3", "a 2", "a None", "b 4"], "and all lines without meter or time"
    assert taken(days, spark, "around") == ["a 1", "a 3", "b 3", "b 5"]
    assert taken(days.from_the_day_before(), spark) == ["None 3", "a 1", "a 2", "a None", "b 3", "b 4"]
    assert taken(of_pairs("village", pairs.limit(0)), spark) == ["None 3", "a None"]


def test_forced_days_join_those_that_changed(spark: SparkSession) -> None:
    def of(*days: int) -> Changes:
        frame = spark.createDataFrame([("a", date(2024, 1, day)) for day in days], "meter_id string, day date")
        return Changes("village", frame, date(2024, 1, min(days)), date(2024, 1, max(days)))

    nothing, everything = Changes("village", None, None, None), Changes("village", None, date(2024, 1, 1), date.max)
    found = of(1, 2).or_in(of(2, 5))
    assert found.days is not None
    assert sorted(row.day.day for row in found.days.collect()) == [1, 2, 5]
    assert (found.first, found.last) == (date(2024, 1, 1), date(2024, 1, 5))
    assert nothing.or_in(everything).everything
    assert everything.or_in(of(1)).everything
    assert nothing.or_in(nothing).nothing


def test_a_diff_counts_rows_and_energy_by_day(spark: SparkSession) -> None:
    def profile(*rows: tuple[int, float]) -> object:
        schema = MART_LOAD_PROFILE.schema
        values = [
            {"source": "village", "meter_id": "a", "month_local": date(2024, 1, 1), "day_type": "weekday"}
            | {"hour_of_day": hour, "mean_load_kw": kwh, "hours": 1.0}
            for hour, kwh in rows
        ]
        texts = [tuple(row.get(name) for name in MART_LOAD_PROFILE.names) for row in values]
        frame = spark.createDataFrame(texts, ", ".join(f"{f.name} {f.dataType.simpleString()}" for f in schema))
        return frame.withColumn("energy_kwh", frame.mean_load_kw.cast("decimal(18,4)"))

    before, after = profile((1, 1.0), (2, 2.0), (3, 3.0)), profile((2, 2.0), (3, 4.0), (4, 5.0))
    (day,) = diff(before, after, MART_LOAD_PROFILE).collect()  # type: ignore[arg-type]
    assert (day.rows_added, day.rows_removed, day.rows_changed) == (1, 1, 1)
    assert (float(day.kwh_before), float(day.kwh_after)) == (6.0, 11.0)
    assert diff(before, before, MART_LOAD_PROFILE).collect() == []  # type: ignore[arg-type]
    (new,) = diff(None, after, MART_LOAD_PROFILE).collect()  # type: ignore[arg-type]
    assert (new.rows_added, new.kwh_before) == (3, None)


def held(line: int, *reasons: str, kwh: float | None = 1.0) -> Row:
    return Row(
        source="village",
        file_id=1,
        line_order=line,
        meter_id="a",
        reading_timestamp=datetime(2024, 1, 1),
        reasons=list(reasons),
        consumption_kwh=kwh,
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        pytest.param([held(1, "off_cadence_timestamp")], "belongs to no interval", id="off_cadence"),
        pytest.param([held(1, "negative_energy", "missing_meter")], "names no meter", id="no_meter"),
        pytest.param([held(1, "exact_duplicate")], "stands already", id="duplicate"),
        pytest.param([held(1, "energy_out_of_range", kwh=float("inf"))], "no finite number", id="infinite"),
        pytest.param([held(1, "energy_out_of_range", kwh=float("nan"))], "no finite number", id="not_a_number"),
        pytest.param([held(1, "conflicting_duplicate"), held(2, "conflicting_duplicate")], "release one", id="both"),
    ],
)
def test_what_no_operator_can_make_a_reading_of_is_refused(rows: list[Row], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_releasable(rows)


def test_a_line_out_of_range_and_one_side_of_a_conflict_may_be_released() -> None:
    check_releasable([held(1, "energy_out_of_range", kwh=140.0)])
    check_releasable([held(2, "conflicting_duplicate")])


def test_every_mart_has_an_energy_to_compare_by() -> None:
    assert set(ENERGY) == {mart.name for mart in MARTS}
