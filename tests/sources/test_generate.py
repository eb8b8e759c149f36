"""The generator keeps its word: same bytes, any range, every defect and anomaly as the truth says."""

import argparse
import csv
import gzip
import json
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from meterlake.errors import Unreachable, UsageError
from meterlake.sources import generate_anomalies as anomalies
from meterlake.sources import generate_defects as defects
from meterlake.sources import generate_load as load
from meterlake.sources.generate import Plan, Rates, Summary, add_arguments, from_arguments, generate, told
from meterlake.sources.generate_draws import normal, uniform
from meterlake.sources.generate_shapes import SHAPES, block

NONE = Rates(0, 0, 0, 0, 0)
MANY = Rates(exact_duplicate=0.02, conflicting_duplicate=0.01, bad_row=0.03, gap=0.02, anomaly=0.5)
MONDAY = date(2024, 1, 1)
FIRST = (MONDAY - date(1970, 1, 1)).days
AMI_HEADER = "meter_id,timestamp,consumption_kwh,voltage_v,temperature_c,region,feeder,transformer,customer_id"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def lines(folder: Path) -> Counter[str]:
    """All lines of all files but the headers, each with the name of its file's meter or day."""
    return Counter(line for path in folder.glob("readings/*") for line in path.read_text().splitlines()[1:])


def truth(folder: Path) -> list[dict[str, str]]:
    return [row for path in sorted(folder.glob("truth/defects-*")) for row in csv.DictReader(path.open())]


def anomalies_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "truth/anomalies.csv").open()))


@pytest.fixture(scope="module")
def spoilt(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """60 meters over four days with many defects, in two blocks."""
    folder = tmp_path_factory.mktemp("spoilt")
    return folder, generate(spark, str(folder), "ami", 60, MONDAY, 4, 15, 7, MANY, meters_per_file=40)


# --- the same bytes


@pytest.mark.parametrize("shape", SHAPES)
def test_two_runs_give_the_same_bytes_with_one_task_and_with_several(
    spark: SparkSession, tmp_path: Path, shape: str
) -> None:
    for name, partitions in (("one", 1), ("several", 4)):
        generate(spark, str(tmp_path / name), shape, 6, MONDAY, 2, rates=MANY, meters_per_file=2, partitions=partitions)
    one = content(tmp_path / "one")
    assert one == content(tmp_path / "several")
    assert len([name for name in one if name.startswith("readings")]) == 6


def test_a_second_run_into_the_same_folder_changes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    for _ in range(2):
        generate(spark, str(tmp_path), meters=3, days=1, rates=MANY)
        now = content(tmp_path)
        assert sorted(now) == [
            "readings/ami-2024-01-01-00000.csv",
            "truth/anomalies.csv",
            "truth/defects-ami-2024-01-01-00000.csv",
            "truth/meters.csv",
            "truth/summary.json",
        ]
    again = tmp_path / "again"
    generate(spark, str(again), meters=3, days=1, rates=MANY)
    assert content(again) == now


def test_a_day_is_the_same_alone_and_in_a_month(spark: SparkSession, tmp_path: Path) -> None:
    generate(spark, str(tmp_path / "long"), meters=30, start=MONDAY, days=9, rates=MANY)
    generate(spark, str(tmp_path / "day"), meters=30, start=MONDAY + timedelta(8), days=1, rates=MANY)
    long = content(tmp_path / "long")
    for name, day in content(tmp_path / "day").items():
        if "2024-01-09" in name:
            assert long[name] == day, name
    assert {row["meter_id"]: row for row in anomalies_of(tmp_path / "day")}.items() <= {
        row["meter_id"]: row for row in anomalies_of(tmp_path / "long")
    }.items()


def test_lines_do_not_depend_on_how_meters_are_put_into_files(spark: SparkSession, tmp_path: Path) -> None:
    for size in (7, 100):
        generate(spark, str(tmp_path / str(size)), meters=20, days=2, rates=MANY, meters_per_file=size)
    assert lines(tmp_path / "7") == lines(tmp_path / "100")
    assert len(list((tmp_path / "7/readings").iterdir())) == 6


def test_more_meters_leave_the_first_ones_as_they_were(spark: SparkSession, tmp_path: Path) -> None:
    for meters in (5, 9):
        generate(spark, str(tmp_path / str(meters)), "smart_meter", meters, days=2, rates=MANY)
    few, more = content(tmp_path / "5/readings"), content(tmp_path / "9/readings")
    assert few.items() < more.items()


def test_another_seed_is_another_world(spark: SparkSession, tmp_path: Path) -> None:
    for seed in (1, 2):
        generate(spark, str(tmp_path / str(seed)), meters=5, days=1, seed=seed)
    assert not lines(tmp_path / "1") & lines(tmp_path / "2")


def test_gzip_holds_the_same_lines(spark: SparkSession, tmp_path: Path) -> None:
    for name, packed in (("plain", False), ("packed", True)):
        generate(spark, str(tmp_path / name), meters=3, days=1, gzip=packed)
    file = "readings/ami-2024-01-01-00000.csv"
    assert gzip.decompress((tmp_path / f"packed/{file}.gz").read_bytes()) == (tmp_path / "plain" / file).read_bytes()


# --- defects


def test_without_defects_every_interval_has_one_good_line(spark: SparkSession, tmp_path: Path) -> None:
    made = generate(spark, str(tmp_path), meters=3, days=2, interval_minutes=30, rates=NONE)
    rows = [row.split(",") for row in lines(tmp_path)]
    assert made.lines == made.intervals == made.clean_readings == len(rows) == 3 * 2 * 48
    assert len({(row[0], row[1]) for row in rows}) == len(rows)
    assert sum(made.defects.values()) + sum(made.anomalies.values()) == 0
    assert (tmp_path / "readings/ami-2024-01-02-00000.csv").read_text().splitlines()[0] == AMI_HEADER


def test_lines_balance_with_the_truth(spoilt: tuple[Path, Summary]) -> None:
    folder, made = spoilt
    counts = Counter(row["kind"] for row in truth(folder))
    assert made.defects == dict(counts)
    assert set(counts) == set(defects.KINDS) - {""}
    assert made.lines == 60 * 4 * 96 - counts["gap"] + counts["exact_duplicate"] + counts["conflicting_duplicate"]
    assert made.lines == sum(lines(folder).values()) == sum(made.files.values())
    assert json.loads((folder / "truth/summary.json").read_text())["files"] == {
        path.name: len(path.read_text().splitlines()) - 1 for path in folder.glob("readings/*")
    }


def test_without_the_lines_of_the_truth_clean_readings_remain(spoilt: tuple[Path, Summary]) -> None:
    """Take the truth's lines out one by one: what stays is one good line for each interval that is not lost."""
    folder, made = spoilt
    rest, contested, lost = lines(folder), set(), set()
    for row in truth(folder):
        place = (row["meter_id"], row["timestamp"])
        if row["kind"] == "gap":
            assert row["line"] == ""
            lost.add(place)
            continue
        assert rest[row["line"]] > (1 if row["kind"] == "exact_duplicate" else 0), row
        rest[row["line"]] -= 1
        if row["kind"] == "conflicting_duplicate":
            contested.add(place)
        elif row["kind"] != "exact_duplicate":
            lost.add(place)
    assert len(truth(folder)) == len(
        {(row["meter_id"], row["timestamp"]) for row in truth(folder)}
    )  # never two defects
    good = {tuple(line.split(",")[:2]): Decimal(line.split(",")[2]) for line in rest.elements()}
    assert rest.total() == len(good) == 60 * 4 * 96 - len(lost)
    clean = {place: kwh for place, kwh in good.items() if place not in contested}
    assert len(clean) == made.clean_readings
    assert float(sum(clean.values())) == made.clean_kwh
    assert float(sum(good[place] for place in contested)) == made.conflicting_first_kwh
    second = [row["line"].split(",")[2] for row in truth(folder) if row["kind"] == "conflicting_duplicate"]
    assert float(sum(map(Decimal, second))) == made.conflicting_second_kwh


def problems(line: str, now: datetime) -> list[str]:
    """A strict reader of ami lines that shares nothing with the generator."""
    fields = line.split(",")
    if len(fields) != 9:
        return ["too_few_fields" if len(fields) < 9 else "too_many_fields"]
    found = [] if fields[0] else ["missing_meter"]
    try:
        time = datetime.strptime(fields[1], "%Y-%m-%d %H:%M:%S")
        found += ["future_timestamp"] if time > now else []
        found += ["off_cadence"] if time.minute % 15 or time.second else []
    except ValueError:
        found.append("unparsable_timestamp")
    try:
        kwh = float(fields[2])
        found += ["negative_energy"] if kwh < 0 else ["out_of_range"] if kwh > 100 else []
    except ValueError:
        found.append("unparsable_number")
    return found


def test_a_bad_row_has_the_one_problem_that_the_truth_names_and_all_others_have_none(
    spoilt: tuple[Path, Summary],
) -> None:
    folder, _ = spoilt
    now = datetime(2025, 1, 1)
    bad = {row["line"]: row for row in truth(folder) if row["kind"] in defects.BAD}
    for line in lines(folder):
        assert problems(line, now) == ([bad[line]["kind"]] if line in bad else []), line
    for row in bad.values():
        assert row["line"] in (folder / "readings" / row["file"]).read_text().splitlines()


def test_a_conflicting_duplicate_says_another_value_for_the_same_interval(spoilt: tuple[Path, Summary]) -> None:
    folder, _ = spoilt
    first = {tuple(line.split(",")[:2]): line for line in reversed(list(lines(folder)))}
    for row in truth(folder):
        if row["kind"] == "conflicting_duplicate":
            meter, time, kwh = row["line"].split(",")[:3]
            other = first[meter, time].split(",")
            assert (meter, time) == (row["meter_id"], row["timestamp"])
            assert other[2] != kwh
            assert 0 <= float(kwh) <= 100


@pytest.mark.parametrize("interval_minutes", [1, 15, 60])
def test_rates_are_met(interval_minutes: int) -> None:
    rates = Rates().by_kind(SHAPES["ami"])
    meter = np.repeat(np.arange(2000), 2 if interval_minutes == 1 else 20)
    day = np.tile(np.arange(len(meter) // 2000), 2000)
    codes = defects.drawn(3, rates, meter, day, interval_minutes)
    share = np.bincount(codes.reshape(-1), minlength=len(defects.KINDS)) / codes.size
    found = dict(zip(defects.KINDS, share, strict=True))
    assert found["gap"] == pytest.approx(0.005, rel=0.25)
    assert found["exact_duplicate"] == pytest.approx(0.002, rel=0.1)
    assert found["conflicting_duplicate"] == pytest.approx(0.0002, rel=0.25)
    assert sum(found[kind] for kind in defects.BAD) == pytest.approx(0.001, rel=0.1)


def test_gaps_last_from_one_interval_to_days() -> None:
    days = 400
    codes = defects.drawn(1, {"gap": 0.02}, np.zeros(days, int), np.arange(days), 15).reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], codes, [0]])))
    lengths = Counter((edges[1::2] - edges[::2]).tolist())
    assert {1, 8, 24} <= set(lengths)
    assert max(lengths) >= 96


# --- anomalies


def recorded(rate: float, meters: int = 400) -> tuple[np.ndarray, np.ndarray, anomalies.Events, np.ndarray]:
    """kWh (meters, 31 x 96) of January 2024, the held readings, the events, and typical kWh."""
    meter, day = np.repeat(np.arange(meters), 31), np.tile(FIRST + np.arange(31), meters)
    made = block(5, rate, meter, day, 15)
    event = anomalies.events(5, rate, np.arange(meters), np.full(meters, anomalies.months_of(np.array([FIRST]))[0]))
    typical = made.meters.mean_kw[::31] / 4
    return made.kwh.reshape(meters, -1), made.held.reshape(meters, -1), event, typical


EFFECTS = {
    "partial_theft": lambda got, real, p, typical, minute: np.allclose(got, real * p),
    "bypass_night": lambda got, real, p, typical, minute: np.allclose(
        got, np.where((minute % 1440 >= 1320) | (minute % 1440 < 360), real * p, real)
    ),
    "bypass_from_date": lambda got, real, p, typical, minute: (
        np.allclose(got, real * p) and minute[-1] == 31 * 1440 - 15
    ),
    "zero_reads": lambda got, real, p, typical, minute: not got.any(),
    "frozen_value": lambda got, real, p, typical, minute: np.allclose(got, p * typical),
    "spike": lambda got, real, p, typical, minute: np.allclose(got, np.minimum(real + p * typical, 95)),
    "cold_load_surge": lambda got, real, p, typical, minute: (
        got[0] == pytest.approx(min(95, real[0] * (1 + p))) and (got >= real).all() and len(got) <= 20
    ),
    "drift": lambda got, real, p, typical, minute: (
        np.allclose(got[0], real[0]) and (np.diff(got / real) < 0).all() and got[-1] >= real[-1] * (1 + p)
    ),
    "reversed_day": lambda got, real, p, typical, minute: np.allclose(
        got.reshape(-1, 96), real.reshape(-1, 96)[:, ::-1]
    ),
}


@pytest.mark.parametrize("kind", anomalies.NAMES)
def test_an_anomaly_changes_its_readings_as_its_kind_says_and_no_others(kind: str) -> None:
    got, held, event, typical = recorded(1.0)
    real, never, _, _ = recorded(0.0)
    assert not never.any()
    rows = np.flatnonzero(event.kind == anomalies.NAMES.index(kind))
    assert len(rows) > 20
    minute = np.arange(31 * 96) * 15
    for row in rows:
        inside = held[row]
        since = minute + FIRST * 1440
        assert (inside == ((since >= event.start[row]) & (since < event.end[row]))).all()
        assert (got[row][~inside] == real[row][~inside]).all()
        assert EFFECTS[kind](got[row][inside], real[row][inside], event.parameter[row], typical[row], minute[inside])


def test_anomalies_stay_in_their_month_and_are_as_many_as_stated() -> None:
    meter, month = np.arange(20000), np.full(20000, 650)
    event = anomalies.events(1, 0.03, meter, month)
    some = event[event.kind >= 0]
    assert len(some.kind) == pytest.approx(600, rel=0.15)
    start, end = (np.array([650, 651]).astype("datetime64[M]").astype("datetime64[m]")).astype(int)
    assert (some.start >= start).all()
    assert (some.end <= end).all()
    assert (some.start < some.end).all()
    assert len(set(some.kind)) == len(anomalies.KINDS)


def test_the_truth_lists_the_anomalies_of_the_days_and_meters_made(spoilt: tuple[Path, Summary]) -> None:
    folder, made = spoilt
    rows = anomalies_of(folder)
    assert Counter(row["kind"] for row in rows) == {kind: n for kind, n in made.anomalies.items() if n}
    assert rows
    for row in rows:
        assert row["start"] < "2024-01-05"
        assert row["end"] > "2024-01-01"
        assert row["meter_id"] < "M0000060"


# --- a plausible world


@pytest.fixture(scope="module")
def four_weeks() -> tuple[load.Meters, np.ndarray]:
    """1,000 meters, kWh (1000, 28, 96) without anomalies."""
    meter, day = np.repeat(np.arange(1000), 28), np.tile(FIRST + np.arange(28), 1000)
    return load.population(1, np.arange(1000)), block(1, 0.0, meter, day, 15).kwh.reshape(1000, 28, 96)


def by_hour(four_weeks: tuple[load.Meters, np.ndarray], name: str, weekend: bool) -> np.ndarray:
    meters, kwh = four_weeks
    shape = [kind.name for kind in load.SHAPES].index(name)
    days = [day for day in range(28) if (day % 7 >= 5) == weekend]
    return kwh[meters.shape == shape][:, days].mean(axis=(0, 1)).reshape(24, 4).sum(axis=1)


def test_homes_peak_in_the_evening_shops_on_weekdays_pumps_at_night(four_weeks: tuple[load.Meters, np.ndarray]) -> None:
    home = by_hour(four_weeks, "residential", weekend=False)
    assert home[19] > 3 * home[3]
    assert home[7] > home[10]
    assert (
        by_hour(four_weeks, "small_commercial", False).sum() > 2 * by_hour(four_weeks, "small_commercial", True).sum()
    )
    pump = by_hour(four_weeks, "agricultural_pump", weekend=False)
    assert pump[2] > 5 * pump[12]
    lamp = by_hour(four_weeks, "street_light", weekend=True)
    assert lamp[0] > 10 * lamp[12]


def test_readings_stay_inside_the_rules(four_weeks: tuple[load.Meters, np.ndarray]) -> None:
    _meters, kwh = four_weeks
    assert kwh.min() >= 0
    assert kwh.max() <= load.LARGEST_KWH
    assert 0.3 < kwh.mean() * 4 < 2.0  # kW per meter
    made = block(1, 0.0, np.arange(1000), np.full(1000, FIRST), 60)
    assert 210 < made.volts.min() < made.volts.max() < 250
    assert made.kwh.max() <= load.LARGEST_KWH


def test_weather_has_seasons_and_afternoons_and_is_one_for_a_region() -> None:
    region, day = np.repeat(np.arange(5), 365), np.tile(np.arange(365), 5)
    warmth = load.temperature(1, region, day, 60).reshape(5, 365, 24)
    assert (warmth[:, 170:220].mean(axis=(1, 2)) - warmth[:, :40].mean(axis=(1, 2)) > 12).all()
    assert (warmth.mean(axis=1).argmax(axis=1) == 15).all()
    assert warmth.min() > -30
    assert warmth.max() < 55
    assert np.abs(warmth[:, 1:, 0] - warmth[:, :-1, 23]).max() < 5  # no jump at midnight


def test_cooling_follows_the_heat() -> None:
    meters = load.population(1, np.arange(200))
    day = np.full(200, FIRST)
    mild, hot = (load.true_kwh(1, meters, day, 60, np.full((200, 24), c)) for c in (20.0, 35.0))
    homes = meters.shape == 0
    assert hot[homes].sum() == pytest.approx(mild[homes].sum() * (1 + 13 * 0.05))


def test_a_place_in_the_grid_follows_from_the_number_of_the_meter() -> None:
    meters = load.population(1, np.arange(8000))
    assert len(set(meters.region)) == 5
    assert len(set(meters.feeder)) == 40
    assert len(set(meters.transformer)) == 400
    for inner, outer in ((meters.transformer, meters.feeder), (meters.feeder, meters.region)):
        assert len(set(zip(inner, outer, strict=True))) == len(set(inner))
    assert len(set(load.population(1, np.arange(100)).region)) == 5


# --- the other shapes


def test_smart_meter_files_have_the_published_columns_and_labels_from_the_truth(
    spark: SparkSession, tmp_path: Path
) -> None:
    generate(spark, str(tmp_path), "smart_meter", 12, MONDAY, 20, rates=replace(NONE, anomaly=1.0))
    held: dict[str, tuple[str, str]] = {row["meter_id"]: (row["start"], row["end"]) for row in anomalies_of(tmp_path)}
    labels = Counter()
    for path in sorted((tmp_path / "readings").iterdir()):
        rows = list(csv.DictReader(path.open()))
        header = "Timestamp,Electricity_Consumed,Temperature,Humidity,Wind_Speed,Avg_Past_Consumption,Anomaly_Label"
        assert ",".join(rows[0]) == header
        assert len(rows) == 20 * 48
        start, end = held.get(path.stem, ("", ""))
        for row in rows:
            assert row["Anomaly_Label"] == ("Abnormal" if start <= row["Timestamp"] < end else "Normal")
        labels.update(row["Anomaly_Label"] for row in rows)
        kwh = [float(row["Electricity_Consumed"]) for row in rows]
        past = [float(row["Avg_Past_Consumption"]) for row in rows]
        assert past[48:] == pytest.approx([sum(kwh[i - 48 : i]) / 48 for i in range(48, len(kwh))], abs=1.01e-4)
        assert all(0 <= float(row["Humidity"]) <= 100 for row in rows)
    assert len(labels) == 2


def test_household_power_has_the_published_layout(spark: SparkSession, tmp_path: Path) -> None:
    rates = Rates(exact_duplicate=0.0, conflicting_duplicate=0.0, bad_row=0.0, gap=0.05, anomaly=0.0)
    made = generate(spark, str(tmp_path), "household_power", 1, date(2024, 2, 9), 3, rates=rates)
    header, *rows = (tmp_path / "readings/M0000000.txt").read_text().splitlines()
    assert header.startswith("Date;Time;Global_active_power;")
    assert len(header.split(";")) == 9
    assert rows[0].startswith("9/2/2024;00:00:00;")
    assert rows[-1].startswith("11/2/2024;23:59:00;")
    missing = [row for row in rows if "?" in row]
    assert len(rows) == made.lines == made.intervals == 3 * 1440
    assert len(missing) == made.defects["gap"] > 0
    assert all(row.endswith(";?;?;?;?;?;?;") for row in missing)
    power = [row.split(";") for row in rows if "?" not in row]
    assert sum(float(row[2]) for row in power) / 60 == pytest.approx(made.clean_kwh)
    for row in power:
        watt_hours = float(row[2]) * 1000 / 60
        assert sum(map(float, row[6:])) <= watt_hours
        assert float(row[5]) == pytest.approx(float(row[2]) * 1000 / float(row[4]), abs=0.051)
    # The truth is in UTC, the file at UTC+01:00.
    first = truth(tmp_path)[0]
    local = datetime.fromisoformat(first["timestamp"]) + timedelta(hours=1)
    assert first["line"].startswith(f"{local.day}/{local.month}/{local.year};{local:%H:%M:%S};")


@pytest.mark.parametrize("shape", ["smart_meter", "household_power"])
def test_a_file_without_a_meter_column_never_lacks_its_meter(spark: SparkSession, tmp_path: Path, shape: str) -> None:
    made = generate(spark, str(tmp_path), shape, 2, days=10, rates=replace(NONE, bad_row=0.2))
    assert set(made.defects) == {"gap", "exact_duplicate", "conflicting_duplicate", *defects.BAD} - {"missing_meter"}
    assert all(made.defects[kind] for kind in defects.BAD if kind != "missing_meter")


# --- draws


def test_draws_are_uniform_normal_and_unrelated() -> None:
    flat, other = (uniform(1, name, np.arange(1000), np.arange(1000), count=100) for name in ("a", "b"))
    assert flat.min() >= 0
    assert flat.max() < 1
    assert flat.mean() == pytest.approx(0.5, abs=0.005)
    assert flat.var() == pytest.approx(1 / 12, rel=0.02)
    assert abs(np.corrcoef(flat.reshape(-1), other.reshape(-1))[0, 1]) < 0.01
    assert abs(np.corrcoef(flat[1:].reshape(-1), flat[:-1].reshape(-1))[0, 1]) < 0.01
    assert abs(np.corrcoef(flat[:, 1:].reshape(-1), flat[:, :-1].reshape(-1))[0, 1]) < 0.01
    bell = normal(1, "c", np.arange(1000), count=100)
    assert bell.mean() == pytest.approx(0, abs=0.02)
    assert bell.std() == pytest.approx(1, rel=0.02)
    assert np.abs(bell).max() < 3.5


def test_a_draw_depends_on_its_place_only() -> None:
    table = uniform(9, "x", np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4), count=5).reshape(4, 3, 5)
    assert (uniform(9, "x", [2], [1], count=5)[0] == table[2, 1]).all()
    assert (uniform(9, "x", [2], [1], count=2)[0] == table[2, 1, :2]).all()
    assert len(np.unique(table)) == table.size


# --- the door


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param({"shape_name": "gas"}, "'gas' is not known", id="unknown_shape"),
        pytest.param({"meters": 0}, "meters: 0", id="no_meters"),
        pytest.param({"days": -1}, "days: -1", id="negative_days"),
        pytest.param({"meters_per_file": 0}, "meters per file", id="empty_files"),
        pytest.param({"interval": 7}, "7 min do not divide", id="odd_interval"),
        pytest.param({"interval": 0}, "0 min do not divide", id="interval_zero"),
        pytest.param({"interval": 15, "shape_name": "smart_meter"}, "every 30 min", id="cadence_of_the_shape"),
    ],
)
def test_a_wrong_number_is_named(arguments: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Plan("out", **arguments)


@pytest.mark.parametrize(
    "rates", [{"gap": 0.5}, {"anomaly": 1.5}, {"bad_row": -0.1}, {"exact_duplicate": float("nan")}]
)
def test_a_wrong_rate_is_named(rates: dict) -> None:
    with pytest.raises(UsageError, match=next(iter(rates))):
        Rates(**rates)


def test_files_of_another_call_are_not_mixed_in(spark: SparkSession, tmp_path: Path) -> None:
    generate(spark, str(tmp_path), meters=2, days=2)
    with pytest.raises(UsageError, match="ami-2024-01-02-00000"):
        generate(spark, str(tmp_path), meters=2, days=1)


def test_a_folder_that_cannot_be_written_is_told(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match="cannot be written"):
        generate(spark, str(tmp_path / "file"), meters=1, days=1)
    (tmp_path / "out/readings/ami-2024-01-01-00000.csv").mkdir(parents=True)
    with pytest.raises(Unreachable, match="cannot be written"):
        generate(spark, str(tmp_path / "out"), meters=1, days=1)
    assert not list((tmp_path / "out").rglob(".*"))


def test_the_command_line_reaches_every_setting(spark: SparkSession, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = f"--out {tmp_path} --meters 2 --days 1 --start 2023-07-01 --interval-minutes 60 --seed 4 --bad-row-rate 0.1"
    made = from_arguments(spark, parser.parse_args([*words.split(), "--gap-rate", "0", "--gzip"]))
    assert (made.intervals, made.seed, made.start) == (48, 4, "2023-07-01")
    assert made.rates == {
        "exact_duplicate": 0.002,
        "conflicting_duplicate": 0.0002,
        "bad_row": 0.1,
        "gap": 0.0,
        "anomaly": 0.03,
        "outage": 0.0,
    }
    assert list(made.files) == ["ami-2023-07-01-00000.csv.gz"]
    sentences = told(made, "in put", Path("home"))
    assert sentences.startswith(f"{made.lines} lines of 2 meters in 1 files are in in put/readings")
    assert sentences.endswith("next: meterlake run --source ami --input 'in put/readings' --home home")
