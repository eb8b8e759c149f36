"""The windows against a slow pandas reference, and that a row's bits depend on its own past only."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from tests.lake import plan_of

from meterlake.sources.source import Columns, Source
from meterlake.tables.arrow_pass import Rows
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.transforms import int_consumption_features as features
from meterlake.transforms.int_consumption_features import WINDOWS, with_windows

HALF_HOURLY = Source(
    name="test", description="", interval_minutes=30, columns=Columns(timestamp="time", value="kwh", meter_id="meter")
)
ZONES = ("UTC", "Europe/London", "Africa/Nairobi", "America/New_York", "Pacific/Kiritimati")
CADENCES = (1, 5, 8, 15, 30, 45, 60, 90, 1440)


def series(meter_id: str, start: datetime, minutes: int, kwh: list[float | None], kept: list[int]) -> pd.DataFrame:
    """A meter's readings at the kept positions of a regular grid; the other intervals have no row."""
    stamps = [start + timedelta(minutes=minutes * position) for position in kept]
    values = [kwh[position % len(kwh)] for position in kept]
    frame = pd.DataFrame({"meter_id": meter_id, "reading_timestamp": stamps, "consumption_kwh": values})
    frame["reading_timestamp"] = pd.to_datetime(frame["reading_timestamp"], utc=True)
    return frame.astype({"consumption_kwh": float, "meter_id": object})


def windowed(rows: pd.DataFrame, minutes: int, batch_rows: int | None = None) -> pd.DataFrame:
    """The pass of int_consumption_features over the rows, delivered in Arrow batches of `batch_rows`."""
    schema = pa.schema(
        {"meter_id": pa.string(), "reading_timestamp": pa.timestamp("us", "UTC"), "consumption_kwh": pa.float64()}
    )
    table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
    batches = table.to_batches(max_chunksize=batch_rows)
    return pa.Table.from_batches(list(with_windows(iter(batches), minutes))).to_pandas()


def reference(rows: pd.DataFrame, minutes: int) -> pd.DataFrame:
    """The same columns by pandas' time-based rolling windows and a lookup by time stamp, meter by meter."""
    parts = []
    for _, meter in rows.groupby("meter_id", sort=False):
        kwh = meter.set_index("reading_timestamp")["consumption_kwh"]
        day = kwh.rolling("24h", min_periods=1)
        values = {
            "rolling_mean_kwh_1h": kwh.rolling("1h", min_periods=1).mean(),
            "rolling_mean_kwh_24h": day.mean(),
            "rolling_std_kwh_24h": [_sample_std(window) for window in day],
            "same_hour_last_day_kwh": kwh.reindex(kwh.index - pd.Timedelta("24h")).to_numpy(),
            "same_hour_last_week_kwh": kwh.reindex(kwh.index - pd.Timedelta("168h")).to_numpy(),
        }
        parts.append(pd.DataFrame(values, index=kwh.index).reset_index(drop=True))
    return pd.concat(parts, ignore_index=True)


def _sample_std(window: pd.Series) -> float:
    # Two-pass: pandas' own rolling std is an online update that drifts.
    known = window.dropna().to_numpy()
    return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")


@st.composite
def meters(draw: st.DrawFn) -> tuple[pd.DataFrame, int]:
    """Up to three meters with gaps, unknown values and irregular starts, sorted by meter and time."""
    minutes = draw(st.sampled_from(CADENCES))
    value = st.one_of(st.none(), st.just(0.0), st.integers(0, 10**10).map(lambda units: units / 1e8))
    span = max(4, 12 * 1440 // minutes)
    frames = []
    for number in range(draw(st.integers(1, 3))):
        start = datetime(2024, 3, 28, tzinfo=UTC) + timedelta(
            minutes=minutes * draw(st.integers(0, 3 * 1440 // minutes))
        )
        runs = draw(st.lists(st.tuples(st.integers(0, span), st.integers(1, 60)), min_size=1, max_size=6))
        kept = sorted({position for first, length in runs for position in range(first, first + length)})
        kwh = draw(st.lists(value, min_size=1, max_size=40))
        frames.append(series(f"meter-{number}", start, minutes, kwh, kept))
    return pd.concat(frames, ignore_index=True), minutes


@settings(deadline=None, max_examples=150)
@given(meters())
def test_windows_equal_the_pandas_reference(case: tuple[pd.DataFrame, int]) -> None:
    rows, minutes = case
    pd.testing.assert_frame_equal(
        windowed(rows, minutes)[list(WINDOWS)], reference(rows, minutes), rtol=1e-9, atol=1e-9, check_exact=False
    )


@settings(deadline=None, max_examples=100)
@given(meters(), st.integers(1, 50))
def test_batch_borders_do_not_show(case: tuple[pd.DataFrame, int], batch_rows: int) -> None:
    rows, minutes = case
    pd.testing.assert_frame_equal(windowed(rows, minutes, batch_rows), windowed(rows, minutes), check_exact=True)


@settings(deadline=None, max_examples=100)
@given(meters(), st.integers(0, 12))
def test_an_incremental_run_equals_a_full_one_bit_by_bit(case: tuple[pd.DataFrame, int], changed: int) -> None:
    rows, minutes = case
    first_changed = pd.Timestamp("2024-03-28", tz="UTC") + pd.Timedelta(days=changed)
    context = rows[rows["reading_timestamp"] >= first_changed - pd.Timedelta(days=8)].reset_index(drop=True)
    wanted = rows["reading_timestamp"] >= first_changed
    full = windowed(rows, minutes)[wanted.to_numpy()].reset_index(drop=True)
    if wanted.any():
        again = windowed(context, minutes)
        incremental = again[again["reading_timestamp"] >= first_changed].reset_index(drop=True)
        pd.testing.assert_frame_equal(incremental, full, check_exact=True)


@settings(deadline=None, max_examples=100)
@given(meters(), st.integers(0, 12), st.integers(0, 9), st.sampled_from(ZONES))
def test_what_is_looked_at_is_enough(case: tuple[pd.DataFrame, int], start: int, more: int, zone: str) -> None:
    rows, minutes = case
    first = date(2024, 3, 28) + timedelta(days=start)
    last = first + timedelta(days=more)
    spans = features.looked_at(first, last, HALF_HOURLY.model_copy(update={"time_zone": zone}))
    local = rows["reading_timestamp"].dt.tz_convert(zone).dt.date
    wanted = (local >= first) & (local <= last)
    seen = pd.concat([(local >= begin) & (local <= end) for begin, end in spans], axis=1).any(axis=1)
    assert not (wanted & ~seen).any()
    if wanted.any():
        some = windowed(rows[seen].reset_index(drop=True), minutes)[wanted[seen].to_numpy()]
        full = windowed(rows, minutes)[wanted.to_numpy()]
        pd.testing.assert_frame_equal(some.reset_index(drop=True), full.reset_index(drop=True), check_exact=True)


def test_of_a_day_the_days_between_a_week_before_and_the_day_before_are_not_looked_at() -> None:
    day, week_before = date(2024, 3, 31), date(2024, 3, 24)
    assert features.looked_at(day, day, HALF_HOURLY) == [(week_before, week_before), (date(2024, 3, 30), day)]


def test_sparse_meters_are_cut_into_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = series("daily-in-a-minute-source", start, 1, [1.0, 2.0, 4.0], [day * 1440 for day in range(40)])
    whole = windowed(rows, 1)
    monkeypatch.setattr(features, "MAX_CELLS", 3 * 1440)
    pd.testing.assert_frame_equal(windowed(rows, 1), whole, check_exact=True)


def test_a_constant_series_has_no_deviation() -> None:
    rows = series("flat", datetime(2024, 1, 1, tzinfo=UTC), 1, [0.1], list(range(4000)))
    assert windowed(rows, 1)["rolling_std_kwh_24h"].iloc[1:].max() < 1e-14


def test_a_large_level_does_not_drown_a_small_deviation() -> None:
    rows = series("busbar", datetime(2024, 1, 1, tzinfo=UTC), 1, [1e6, 1e6 + 1e-3], list(range(4000)))
    expected = np.std([1e6, 1e6 + 1e-3] * 720, ddof=1)
    assert windowed(rows, 1)["rolling_std_kwh_24h"].iloc[-1] == pytest.approx(expected, rel=1e-6)


def reading(**given: Any) -> dict[str, Any]:
    """A row of stg_meter_readings with full defaults."""
    stamp = given.get("reading_timestamp", datetime(2024, 6, 1, 12, tzinfo=UTC))
    meter = given.get("meter_id", "m1")
    defaults: dict[str, Any] = {
        **dict.fromkeys(STG_METER_READINGS.names),
        "reading_id": f"test:{meter}:{int(stamp.timestamp())}",
        "source": "test",
        "meter_id": meter,
        "reading_timestamp": stamp,
        "interval_minutes": 30,
        "consumption_kwh": 1.0,
        "active_power_kw": 2.0,
        "reading_date_local": stamp.date(),
        "hour_of_day": stamp.hour,
        "day_of_week": stamp.isoweekday(),
        "quality": "measured",
        "batch_id": "b1",
    }
    return defaults | given


def staged(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    return spark.createDataFrame(
        [tuple(row[name] for name in STG_METER_READINGS.names) for row in rows], STG_METER_READINGS.schema
    )


def made(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    return features.build(Rows.by_meter(staged(spark, *rows), features.CARRIED), HALF_HOURLY).frame()


def test_build_gives_the_declared_columns(spark: SparkSession) -> None:
    built = made(spark, reading())
    assert [(f.name, f.dataType) for f in built.schema] == [
        (f.name, f.dataType) for f in INT_CONSUMPTION_FEATURES.schema
    ]


def test_build_of_nothing_is_empty(spark: SparkSession) -> None:
    assert made(spark).count() == 0


def test_one_reading_has_no_past(spark: SparkSession) -> None:
    (row,) = made(spark, reading(sub_metering_1_kwh=0.25, temperature_c=7.5)).collect()
    assert (row["reading_id"], row["reading_timestamp"]) == (reading()["reading_id"], datetime(2024, 6, 1, 12))
    assert (row["rolling_mean_kwh_1h"], row["rolling_mean_kwh_24h"], row["ratio_to_mean_24h"]) == (1.0, 1.0, 1.0)
    assert (row["rolling_std_kwh_24h"], row["same_hour_last_day_kwh"], row["same_hour_last_week_kwh"]) == (
        None,
        None,
        None,
    )
    assert (row["sub_metering_1_ratio"], row["sub_metering_2_ratio"]) == (0.25, None)
    assert (row["is_weekend"], row["month_of_year"], row["temperature_c"]) == (True, 6, 7.5)


def test_a_missing_reading_keeps_its_row_and_counts_nowhere(spark: SparkSession) -> None:
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)
    gap = reading(reading_timestamp=noon, consumption_kwh=None, active_power_kw=None, quality="missing")
    after = reading(reading_timestamp=noon + timedelta(minutes=30), consumption_kwh=4.0)
    first, second = made(spark, gap, after).orderBy("reading_timestamp").collect()
    assert (first["quality"], first["consumption_kwh"], first["rolling_mean_kwh_1h"]) == ("missing", None, None)
    assert (second["rolling_mean_kwh_1h"], second["rolling_std_kwh_24h"]) == (4.0, None)


def test_nothing_consumed_all_day_has_no_ratio(spark: SparkSession) -> None:
    (row,) = made(spark, reading(consumption_kwh=0.0, sub_metering_1_kwh=0.0)).collect()
    assert (row["rolling_mean_kwh_24h"], row["ratio_to_mean_24h"], row["sub_metering_1_ratio"]) == (0.0, None, None)


def test_the_plan_has_one_shuffle_and_one_python_pass(spark_for_much: SparkSession) -> None:
    plan = plan_of(made(spark_for_much, reading()))
    assert plan.count("Exchange hashpartitioning(meter_id") == plan.count("Exchange") == 1
    assert plan.count("MapInArrow") == 1
