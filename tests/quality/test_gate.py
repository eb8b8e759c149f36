"""The gates with real tables and the real Great Expectations."""

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from meterlake.quality.expectations import SUITES
from meterlake.quality.gate import TABLES_OF, GateResult, run_gate
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.catalog import TABLES
from meterlake.tables.ops import QUALITY_RESULTS

Frames = dict[str, DataFrame]


@pytest.fixture(scope="session")
def frames(story: Frames, bronze: DataFrame, ledger: DataFrame) -> Frames:
    return story | {"meter_readings": bronze, "ledger": ledger}


def gate(
    suite: str, frames: Frames, source: Source, settings: Settings, run_id: str = "r1", has_model: bool = True
) -> GateResult:
    judged = {name: frames[name] for name in TABLES_OF[suite]}
    return run_gate(suite, judged, run_id=run_id, source=source, settings=settings, has_model=has_model)


def words(rows: list[Row]) -> list[str]:
    return [row.expectation for row in rows]


@pytest.mark.parametrize("suite", SUITES)
def test_a_true_story_passes(
    spark: SparkSession, suite: str, frames: Frames, london: Source, settings: Settings
) -> None:
    result = gate(suite, frames, london, settings)

    assert words(result.critical_failures) == []
    assert words(result.verdicts) == [one.description for one in SUITES[suite](london, settings)]
    assert not any("nothing to judge" in row.observed for row in result.verdicts)
    stored = spark.createDataFrame(result.verdicts, QUALITY_RESULTS.schema)
    assert stored.select("run_id", "source", "suite").distinct().collect() == [("r1", "london", suite)]


@pytest.mark.parametrize("suite", SUITES)
def test_nothing_to_judge_passes(
    spark: SparkSession, suite: str, frames: Frames, london: Source, settings: Settings
) -> None:
    nothing = {name: spark.createDataFrame([], TABLES[name].schema) for name in frames}
    result = gate(suite, nothing, london, settings)

    assert [row for row in result.verdicts if not row.success] == []
    assert {row.observed for row in result.verdicts[2:]} == {"nothing to judge"}


def test_a_delivery_that_does_not_parse_fails(bronze: DataFrame, london: Source, settings: Settings) -> None:
    broken = bronze.withColumns(
        {
            "parse_error": F.lit("no number"),
            "raw_line": F.lit("x;y"),
            "source_file": F.concat(F.lit("/data/in/"), "source_file"),
        }
    )
    result = gate("raw_readings", {"meter_readings": broken}, london, settings)

    assert words(result.critical_failures) == ["At least half of the lines parse"]
    assert words(result.warnings) == ["At most 0.5% of a file's lines do not parse"]
    assert [row.observed for row in result.warnings] == ["file 1.csv: 1, file 2.csv: 1; 2 of 2 files"]
    assert "Gate raw_readings failed" in result.sentence
    assert "At least half of the lines parse (batch b1: 1; 1 of 1 batch)" in result.sentence
    assert str(result.data_docs) in result.sentence


def test_a_reading_that_stands_twice_fails(frames: Frames, london: Source, settings: Settings) -> None:
    readings = frames["stg_meter_readings"]
    twice = readings.union(readings.where("reading_date_local = '2024-10-27'").limit(2))
    result = gate("staging_readings", frames | {"stg_meter_readings": twice}, london, settings)

    (failure,) = result.critical_failures
    assert failure.expectation == "Every reading_id is unique: one reading per meter and interval"
    assert failure.observed == "day 2024-10-27: 2; 1 of 21 days"


def test_a_batch_with_many_rejected_lines_warns(frames: Frames, london: Source, settings: Settings) -> None:
    ledger = frames["ledger"].withColumn("quarantined", F.lit(20).cast("bigint"))
    result = gate("staging_readings", frames | {"ledger": ledger}, london, settings)

    assert result.critical_failures == []
    assert words(result.warnings) == ["At most 0.5% of the lines of a batch are rejected"]


def test_a_month_that_is_not_the_sum_of_its_days_fails(frames: Frames, london: Source, settings: Settings) -> None:
    monthly = frames["int_readings_monthly"].withColumn("consumption_kwh", F.col("consumption_kwh") + 0.001)
    result = gate("marts_metrics", frames | {"int_readings_monthly": monthly}, london, settings)

    assert words(result.critical_failures) == ["The days of a month sum to the month"]
    assert result.critical_failures[0].observed == "month 2024-10-01: 2, month 2024-11-01: 2; 2 of 2 months"


def test_no_score_is_asked_for_where_there_is_no_model(
    spark: SparkSession, frames: Frames, london: Source, settings: Settings
) -> None:
    unscored = {name: spark.createDataFrame([], TABLES[name].schema) for name in frames if "anomaly" in name}
    result = gate("marts_metrics", frames | unscored, london, settings, has_model=False)
    assert words(result.critical_failures) == []
    asked = [one.description for one in SUITES["marts_metrics"](london, settings)]
    assert [each for each in asked if each not in words(result.verdicts)] == [
        "Every metered reading has one score",
        "Scored readings hold the energy of silver's metered readings",
    ]


def test_flags_beyond_the_usual_share_warn(frames: Frames, london: Source, settings: Settings) -> None:
    # 5 % of the readings are flagged, and scores and flags agree.
    many = F.abs(F.xxhash64("reading_id")) % 20 == 0
    scores = frames["mart_anomaly_scores"].withColumns(
        {
            "is_anomaly": many,
            "anomaly_score": F.when(many, 0.9).otherwise(0.3),
            "anomaly_type": F.when(many, "high_consumption"),
        }
    )
    result = gate("marts_metrics", frames | {"mart_anomaly_scores": scores}, london, settings)
    assert "Between 0.5% and 2.0% of the readings are flagged" in words(result.warnings)


@pytest.mark.parametrize(
    ("change", "failure", "observed"),
    [
        pytest.param("dropped", "Every declared column exists", "column stg_meter_readings.voltage_v: 1", id="dropped"),
        pytest.param(
            "text", "Every column has its declared type", "column stg_meter_readings.voltage_v: 1", id="retyped"
        ),
    ],
)
def test_a_table_that_is_not_as_declared_fails_before_its_rows_are_read(
    frames: Frames, london: Source, settings: Settings, change: str, failure: str, observed: str
) -> None:
    readings = frames["stg_meter_readings"].drop("voltage_v")
    if change == "text":
        readings = readings.withColumn("voltage_v", F.lit("230"))
    result = gate("staging_readings", frames | {"stg_meter_readings": readings}, london, settings)

    assert words(result.critical_failures) == [failure]
    assert result.critical_failures[0].observed.startswith(observed)


def test_the_data_docs_stay_and_list_every_run(bronze: DataFrame, london: Source, settings: Settings) -> None:
    for run_id in ("run-one", "run-two"):
        page = gate("raw_readings", {"meter_readings": bronze}, london, settings, run_id).data_docs

    assert page == settings.home / "data_docs" / "index.html"
    index = page.read_text(encoding="utf-8")
    assert "run-one" in index
    assert "run-two" in index
    pages = sorted(Path(settings.home, "data_docs", "validations", "raw_readings").rglob("*.html"))
    assert len(pages) == 2
    assert "A line is kept as raw text with a reason exactly when it does not parse" in pages[0].read_text("utf-8")
