"""The real NEM12 files: all that are valid load with the totals that a reader of its own finds, the others are told."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.lake import deliver, entry

from meterlake.settings import Settings
from meterlake.sources.inspect import inspect, text_lines
from meterlake.sources.nem12 import NEM12
from meterlake.sources.nem12_read import rows_of
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store

Totals = dict[tuple[str, str], tuple[int, Decimal]]  # (NMI:suffix, unit) -> values, their sum

REFUSED = {  # file: what the sentence says
    "Example_NEM13_consumption_data.csv": "is a NEM13 file (line 1)",
    "Example_NEM13_forward_estimate.csv": "is a NEM13 file (line 1)",
    "Example_NEM12_empty.csv": "holds no readings: line 2",
    "Example_NEM12_missing_header.csv": "has no header: line 2 is record 200",
    "Example_NEM12_powercor.csv": "has no header: line 2 is record 200",
    "Example_NEM12_powercor_missing_fields.csv": "has no header: line 2 is record 200",
    "Example_NEM12_powercor.csv.zip": "is a zip archive",
    "Example_empty_file.csv": "is empty",
}
PARTLY = {  # file: values that are read, values that are not, why
    "Example_NEM12_15min_200_30min_300.csv": (0, 48, "line 3: 48 values where a day of 15-minute intervals has 96"),
    "Example_NEM12_15min_200_30min_400.csv": (0, 96, "line 3: quality V, and its 400 records cover 1-24, 25-48"),
    "Example_NEM12_30min_200_15min_300.csv": (0, 96, "line 3: 96 values where a day of 30-minute intervals has 48"),
    "Example_NEM12_30min_200_15min_400.csv": (0, 96, "line 3: 96 values where a day of 30-minute intervals has 48"),
    "Example_NEM12_incomplete_interval.csv": (144, 1, "line 3: 0 values where a day of 30-minute intervals has 48"),
}


def totals_by_hand(file: Path) -> Totals:
    """The plainest reading of the format: of each 300 record as many values as its 200 record announces."""
    found: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    channel, count = ("", ""), 0
    for line in file.read_text().splitlines():
        fields = line.split(",")
        if fields[0] == "200":
            channel, count = (f"{fields[1]}:{fields[4]}", fields[7]), 1440 // int(fields[8])
        elif fields[0] == "300":
            found[channel] += [Decimal(text) for text in fields[2 : 2 + count]]
    return {channel: (len(values), sum(values, Decimal(0))) for channel, values in found.items()}


def files(folder: Path, *names: str) -> list[Path]:
    return sorted(file for name in names for file in (folder / "nem12" / name).iterdir())


def test_every_valid_file_has_the_totals_of_another_reader(shared_data: Path) -> None:
    valid = [file for file in files(shared_data, "unzipped") if file.name not in REFUSED]
    assert len(valid) == 10
    for file in valid:
        rows = pa.Table.from_batches(rows_of(text_lines(str(file), "UTF-8"), 1))
        sums = rows.group_by(["meter_id", "unit"]).aggregate([("value", "count"), ("value", "sum")]).to_pylist()
        found = {(row["meter_id"], row["unit"]): (row["value_count"], row["value_sum"]) for row in sums}
        by_hand = totals_by_hand(file)
        assert found == {channel: (n, pytest.approx(float(total))) for channel, (n, total) in by_hand.items()}, file
        assert inspect(str(file), NEM12).lines == sum(n for n, _ in by_hand.values())


def test_a_broken_file_is_refused_or_loaded_in_part_and_its_line_is_named(shared_data: Path) -> None:
    for file in [*files(shared_data, "invalid"), *files(shared_data, "unzipped")]:
        seen = inspect(str(file), NEM12)
        assert REFUSED.get(file.name, "None") in str(seen.problem), file
        if file.name in PARTLY:
            rows = pa.Table.from_batches(rows_of(text_lines(str(file), "UTF-8"), 1))
            errors = [error for error in rows["parse_error"].to_pylist() if error]
            good, bad, why = PARTLY[file.name]
            assert (rows.num_rows - len(errors), len(errors), seen.lines) == (good, bad, good + bad), file
            assert all(why in error for error in errors), file
    assert {file.name for file in files(shared_data, "invalid")} <= {*REFUSED, *PARTLY}


def test_the_files_in_silver(spark: SparkSession, settings: Settings, shared_data: Path) -> None:
    """Through the real steps: energy in kWh under its own meter, everything else set aside, and the ledger balances."""
    outcome = deliver(spark, settings, shared_data / "nem12", source=NEM12)["ingest"]
    valid = [file for file in files(shared_data, "unzipped") if file.name not in REFUSED]
    by_hand = [totals_by_hand(file) for file in valid]
    energy: dict[str, float] = defaultdict(float)
    once = {file.name: totals for file, totals in zip(valid, by_hand, strict=True)}
    del once["Example_NEM12_partialchannel.csv"]  # the same days of the same meter as in month_solar
    del once["Example_NEM12_upper_case_units.csv"]  # the same day as in actual_interval
    for totals in once.values():
        for (meter, unit), (_, total) in totals.items():
            if unit.lower() in ("kwh", "wh"):
                energy[meter] += float(total) / (1000 if unit == "Wh" else 1)
    energy["VABD000163:E1"] += 53.328  # 2 February 2004 of incomplete_interval: 48 times 1.111
    silver = Store(spark, settings).read(STG_METER_READINGS)
    found = {
        row.meter_id: row.kwh for row in silver.groupBy("meter_id").agg(F.sum("consumption_kwh").alias("kwh")).collect()
    }
    assert found == {meter: pytest.approx(kwh) for meter, kwh in energy.items()}
    counted = entry(spark, settings)
    assert counted.lines == sum(n for totals in by_hand for n, _ in totals.values()) + sum(
        g + b for g, b, _ in PARTLY.values()
    )
    assert counted.quarantined == counted.other_quantity
    assert outcome.figures["files_refused"] == len(REFUSED)
    assert any("Example_NEM12_15min_200_30min_300.csv" in said and "line 3" in said for said in outcome.said)
    qualities = {
        row.delivered_quality: row.quality for row in silver.select("delivered_quality", "quality").distinct().collect()
    }
    assert qualities == {"A": "measured", "S14:1": "estimated", "F14:76": "edited", "F14:32": "edited"}
