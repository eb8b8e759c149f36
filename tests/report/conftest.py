"""A small lake, made of readings in memory: hours and days by the real transforms, flags at chosen places."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.lake import write

from meterlake import __version__
from meterlake.report import Summary, write_report
from meterlake.settings import Settings
from meterlake.sources.source import Columns, Source
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.mart_load_forecast import MART_LOAD_FORECAST
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LEDGER, LOADED_FILES, QUALITY_RESULTS, RUNS
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.store import Store
from meterlake.tables.table import Table
from meterlake.transforms import int_readings_daily, int_readings_hourly, stg_meter_readings

RUN, BATCH = "20240301T060000Z-ab12", "batch-1"
SOURCE = Source(
    name="town",
    description="A small town",
    interval_minutes=30,
    time_zone="Europe/Paris",
    columns=Columns(timestamp="time", value="kwh", meter_id="meter", voltage="v", temperature="t"),
)
FIRST = datetime(2024, 1, 31, 23, tzinfo=UTC)  # midnight of 1 February in Paris
BEGAN = datetime(2024, 3, 1, 6, tzinfo=UTC)
OF_SOURCE = {"source": SOURCE.name}
FILE = OF_SOURCE | {"source_file": "/data/town & co.csv", "file_id": 1, "batch_id": BATCH, "ingested_at": BEGAN}

WriteReport = Callable[..., str]


@pytest.fixture
def store(spark: SparkSession, settings: Settings) -> Store:
    return Store(spark, settings)


@pytest.fixture
def report(store: Store) -> WriteReport:
    """Fill a lake (see `fill`) and write its report: `report(meters=["M1"], days=3)` is the page's text."""

    def write(said: tuple[str, ...] = (), run_id: str = RUN, **lake: object) -> str:
        if lake:
            fill(store, **lake)  # type: ignore[arg-type]
        summary = Summary(run_id=run_id, input="/data/town", said=list(said))
        return write_report(store, SOURCE, summary, store.settings).read_text(encoding="utf-8")

    return write


def fill(
    store: Store, meters: list[str], days: int = 21, flags: bool = True, faults: bool = True, weather: bool = True
) -> None:
    """The tables of `SOURCE` as after one run: half-hourly readings from 1 February 2024 on.

    Args:
        flags: whether about 1 % of the readings are flagged.
        faults: whether there are 40 exact duplicates, 7 superseded, 31 quarantined and 5 unparsable lines.
        weather: whether readings have a temperature.
    """
    readings = _readings(meters, days, weather)
    store.append(stg_meter_readings.build(_as_current(store, readings), SOURCE), STG_METER_READINGS)
    store.append(int_readings_hourly.build(store.read(STG_METER_READINGS), SOURCE), INT_READINGS_HOURLY)
    store.append(int_readings_daily.build(store.read(INT_READINGS_HOURLY), SOURCE), INT_READINGS_DAILY)
    _scores(store, flags)
    _operations(store, len(readings), meters[0] if faults else None)


def rows(store: Store, table: Table, *records: dict[str, object]) -> None:
    """Append records; what they leave out is null."""
    values = [tuple(record.get(name) for name in table.names) for record in records]
    store.append(store.spark.createDataFrame(values, table.schema), table)


def forecast(settings: Settings, places: dict[str, str]) -> None:
    """Forecasts of `SOURCE` from 7 and from 9 February on (in Paris), 1 kWh an hour with a band from 0 to 3; with them
    what is not to be shown: one of a feeder that is named like a region, and a later one of another source.

    Args:
        places: region by meter; of several, the first has the greatest load.
    """
    write(settings, STG_METERS, [OF_SOURCE | {"meter_id": meter, "region": place} for meter, place in places.items()])
    regions = list(dict.fromkeys(places.values()))
    elements = [("source", SOURCE.name), *(("region", place) for place in regions), ("feeder", regions[0])]
    rows = []
    for day in (6, 8):
        for weight, (level, element) in enumerate(reversed(elements), start=1):
            rows += _week(datetime(2024, 2, day, 23, tzinfo=UTC), weight, level=level, element=element)
    rows += _week(datetime(2024, 2, 12, 23, tzinfo=UTC), 1, source="city", level="source", element="city")
    write(settings, MART_LOAD_FORECAST, rows)


def _week(origin: datetime, weight: int, **about: str) -> list[dict[str, object]]:
    band = {"load_p10_kwh": 0, "load_p50_kwh": weight, "load_p90_kwh": 3 * weight}
    made = OF_SOURCE | about | {"forecast_origin": origin, "made_at": origin, "model_version": f"m/{origin:%d}"}
    return [
        made
        | {name: Decimal(kwh) for name, kwh in band.items()}
        | {"target_hour": hour, "target_date_local": (hour + timedelta(hours=1)).date(), "horizon_h": place + 1}
        for place, hour in enumerate(origin + timedelta(hours=h) for h in range(168))
    ]


def _readings(meters: list[str], days: int, weather: bool) -> pd.DataFrame:
    """A daily shape per meter with noise, and the second day lost but for its first hour."""
    random = np.random.default_rng(7)
    times = pd.date_range(FIRST, periods=48 * days, freq="30min").tz_localize(None)
    hour = (times.hour + times.minute / 60).to_numpy()
    frames = []
    for place, meter in enumerate(meters):
        shape = 0.15 + 0.25 * np.exp(-((hour - 7) ** 2) / 4) + 0.45 * np.exp(-((hour - 19) ** 2) / 8)
        energy = (1 + 0.3 * place) * shape * random.lognormal(0, 0.25, len(times))
        frame = pd.DataFrame({"meter_id": meter, "reading_timestamp": times, "consumption_kwh": energy.round(4)})
        frame["voltage_v"] = (230 + random.normal(0, 2.5, len(times))).round(1)
        frame["temperature_c"] = (6 + 4 * np.sin((hour - 9) / 24 * 6.28) + random.normal(0, 1, len(times))).round(1)
        frames.append(frame)
    everything = pd.concat(frames, ignore_index=True)
    if not weather:
        everything["temperature_c"] = None
    lost = times[50:96] if days > 1 else times[:0]
    return everything[~everything["reading_timestamp"].isin(lost)]


def _as_current(store: Store, readings: pd.DataFrame) -> DataFrame:
    frame = store.spark.createDataFrame(readings)
    delivered = [name for name in STG_METER_READINGS.names if name not in frame.columns]
    absent = {name: F.lit(None).cast(STG_METER_READINGS.schema[name].dataType) for name in delivered}
    local = stg_meter_readings.local_time(F.col("reading_timestamp"), SOURCE).cast("date")
    here = {"source": F.lit(SOURCE.name), "batch_id": F.lit(BATCH), "reading_date_local": local}
    return frame.withColumns(absent | here)


def _scores(store: Store, flags: bool) -> None:
    """Every 97th reading is flagged; the flags per day follow from them."""
    flagged = F.pmod(F.xxhash64("reading_id"), F.lit(97)) == (0 if flags else -1)
    kind = F.when(F.hour("reading_timestamp") > 12, "high_consumption").otherwise("low_consumption")
    scores = store.read(STG_METER_READINGS).select(
        *("reading_id", "source", "meter_id", "reading_timestamp", "reading_date_local", "active_power_kw"),
        F.col("consumption_kwh").cast("decimal(18,4)").alias("consumption_kwh"),
        (F.col("consumption_kwh") / 3).cast("decimal(18,4)").alias("expected_kwh"),
        F.when(flagged, F.lit(0.61) + F.col("consumption_kwh") / 100).otherwise(0.2).alias("anomaly_score"),
        F.lit(0.5).alias("raw_score"),
        flagged.alias("is_anomaly"),
        F.when(flagged, kind).alias("anomaly_type"),
        F.when(flagged, F.lit("ratio to the 24 h mean 3.1; same hour last week 0.12 kWh <b>")).alias("reasons"),
        F.lit("town-forest v3").alias("model_version"),
        F.current_timestamp().alias("scored_at"),
    )
    store.append(scores, MART_ANOMALY_SCORES)
    found = store.read(MART_ANOMALY_SCORES).where("is_anomaly")
    per_day = found.groupBy("source", "meter_id", "reading_date_local").agg(
        F.lit(48).alias("reading_count"),
        F.count("*").alias("flagged_count"),
        F.sum("consumption_kwh").alias("scored_kwh"),
        F.max("anomaly_score").alias("worst_score"),
        F.min("reading_timestamp").alias("worst_reading_timestamp"),
        F.first("anomaly_type").alias("main_type"),
        F.first("reasons").alias("reasons"),
        F.sum(F.expr("consumption_kwh - expected_kwh")).alias("energy_at_stake_kwh"),
        F.lit(None).cast("string").alias("region"),
        F.lit(None).cast("string").alias("feeder"),
        F.when(F.col("meter_id") == "M2", "reading").otherwise("reading, rule").alias("evidence"),
        F.when(F.col("meter_id") == "M2", 0.009).otherwise(0.066).alias("confidence"),
        F.lit("rule VEE-04 frozen; 3 <b>times").alias("why"),
    )
    store.append(per_day, MART_ANOMALY_FLAGS)


def _operations(store: Store, current: int, bad_meter: str | None) -> None:
    """Ledger, files, rejected lines, gates and steps of `RUN`."""
    twice, superseded, rejected, unparsable = (40, 7, 31, 5) if bad_meter else (0, 0, 0, 0)
    loaded = current + twice + superseded + rejected
    lines = {"lines": loaded + unparsable, "loaded": loaded, "unparsable": unparsable}
    went = {"current": current, "exact_duplicates": twice, "superseded": superseded, "quarantined": rejected}
    went["other_quantity"] = 0
    state = {"files": 1, "replaced": 0, "readings_before": 0, "readings_after": current}
    rows(store, LEDGER, OF_SOURCE | lines | went | state | {"batch_id": BATCH, "run_id": RUN})
    extra = ["notes<img src=x>"] if bad_meter else None
    rows(store, LOADED_FILES, FILE | lines | {"sha256": "0", "bytes": 9000, "extra_columns": extra})
    if bad_meter:
        _rejected(store, bad_meter, twice, unparsable)
    for_run = OF_SOURCE | {"run_id": RUN}
    verdicts = [
        ("raw_readings", "source is never null", "critical", True, "0 nulls"),
        ("marts_metrics", "the days of a month sum to the month", "critical", True, "largest gap 0"),
        ("alerts", "rejected lines are at most 0.5 %", "warning", not bad_meter, "1.2 %" if bad_meter else "0 %"),
    ]
    names = ("suite", "expectation", "severity", "success", "observed")
    judged = for_run | {"checked_at": BEGAN}
    rows(store, QUALITY_RESULTS, *(judged | dict(zip(names, verdict, strict=True)) for verdict in verdicts))
    seconds = {"ingest": 9.1, "stage": 21.4, "aggregate": 8.8, "validate": 3.2, "score": 6.5, "marts": 5.0}
    step = for_run | {"rows_in": loaded, "rows_out": current, "code_version": __version__}
    marks = [
        step | {"step": name, "seconds": taken, "started_at": BEGAN + timedelta(minutes=place)}
        for place, (name, taken) in enumerate(seconds.items())
    ]
    rows(store, RUNS, *marks)


def _rejected(store: Store, meter: str, twice: int, unparsable: int) -> None:
    """31 lines in quarantine by three sets of reasons, exact duplicates beside them, and lines that do not parse.

    Some are of years that pandas has no time for.
    """
    both = ["negative_energy", "voltage_out_of_range"]
    reasons = [both[:1]] * 17 + [both[1:]] * 9 + [both] * 5 + [["exact_duplicate"]] * twice
    line = FILE | {"meter_id": meter, "consumption_kwh": -0.5}
    rows(
        store,
        QUARANTINED_READINGS,
        *(
            line | {"line_order": place, "reasons": broken, "reading_timestamp": FIRST.replace(year=year)}
            for place, broken in enumerate(reasons)
            for year in (1 if broken == both else 9999 if broken == both[1:] else FIRST.year,)
        ),
    )
    bad = FILE | {"raw_line": "M1;<i>oops", "parse_error": "too few fields"}
    rows(store, METER_READINGS, *(bad | {"line_order": 900 + place} for place in range(unparsable)))
