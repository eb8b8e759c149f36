"""pandas, one core by its nature. Run on a tenth of the meters, its time is scaled by ten."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tests.benchmarks.given_model import INPUTS, load, scored
from tests.benchmarks.job import Job

BLOCK = 100_000
COLUMNS = [
    "meter_id",
    "reading_timestamp",
    "consumption_kwh",
    "voltage_v",
    "temperature_c",
    "region",
    "feeder",
    "transformer",
    "customer_id",
]
NUMBERS = ["consumption_kwh", "voltage_v", "temperature_c"]
KEY = ["meter_id", "reading_timestamp"]
TYPES = ("high_consumption", "low_consumption", "unusual_pattern")


def run(job: Job) -> None:
    with job.step("readings"):
        lines = read(job.files)
        readings, rejected = split(lines)
        meters = lines.dropna(subset="meter_id").groupby("meter_id", as_index=False)[["region", "feeder"]].first()
        del lines
        _keep(job, readings=readings, rejected=rejected)
    with job.step("aggregates"):
        hours = hourly(readings)
        days = daily(hours)
        _keep(job, hourly=hours, daily=days, monthly=monthly(days))
    with job.step("features"):
        rolled = features(readings)
        _keep(job, features=rolled)
    with job.step("scores"):
        scores = score(rolled, job)
        _keep(job, mart_anomaly_scores=scores)
    with job.step("marts"):
        _keep(
            job,
            mart_anomaly_flags=flags(scores, meters),
            mart_consumption_metrics=metrics(days, meters),
            mart_load_profile=profile(hours, meters),
        )


def read(files: list[Path]) -> pd.DataFrame:
    """The lines of the files as text, with one column more than there should be."""
    names = [*COLUMNS, "extra"]
    frames = []
    for file in files:
        lines = pd.read_csv(
            file, names=names, skiprows=1, dtype="string[pyarrow]", keep_default_na=False, na_values=[""]
        )
        frames.append(lines.assign(source_file=str(file)))
    return pd.concat(frames, ignore_index=True)


def split(lines: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(readings, rejected)."""
    stamp = pd.to_datetime(lines["reading_timestamp"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    typed = lines.assign(reading_timestamp=stamp)
    for name in NUMBERS:
        typed[name] = pd.to_numeric(lines[name], errors="coerce").astype("float64")
    unread = [lines[name].notna() & typed[name].isna() for name in ("reading_timestamp", *NUMBERS)]
    bad = np.logical_or.reduce([*unread, lines["extra"].notna(), lines["customer_id"].isna()])
    texts = lines.loc[bad, [*COLUMNS, "extra"]]
    raw = [",".join(value for value in row if value is not pd.NA) for row in texts.itertuples(index=False)]
    unparsable = pd.DataFrame({"raw_line": raw, "reasons": "unparsable", "source_file": lines.loc[bad, "source_file"]})

    typed = typed[~bad].reset_index(drop=True)
    reasons = _reasons(typed)
    valid, rejected = typed[reasons == ""], typed.assign(reasons=reasons)[reasons != ""]
    repeated = valid[valid.duplicated(KEY, keep=False)]
    values = repeated.groupby(KEY)[NUMBERS].nunique(dropna=False).max(axis=1).rename("versions").reset_index()
    conflicts = (repeated.merge(values, on=KEY, how="left")["versions"] > 1).to_numpy()
    conflicting = repeated[conflicts].assign(reasons="conflicting_duplicate")
    copies = repeated[~conflicts]
    exact = copies[copies.duplicated(KEY)].assign(reasons="exact_duplicate")
    readings = valid.drop(index=[*conflicting.index, *exact.index])
    rejected = pd.concat([unparsable, rejected, conflicting, exact], ignore_index=True)
    rejected["reasons"] = rejected["reasons"].str.split("|")
    return _readings(readings), rejected[[*KEY, "consumption_kwh", "reasons", "source_file", "raw_line"]]


def _reasons(rows: pd.DataFrame) -> pd.Series:
    """The rules that a row breaks, joined by a bar; empty for a valid row."""
    energy, stamp = rows["consumption_kwh"], rows["reading_timestamp"]
    voltage, temperature = rows["voltage_v"], rows["temperature_c"]
    broken = {
        "missing_meter": rows["meter_id"].isna(),
        "missing_timestamp": stamp.isna(),
        "missing_value": energy.isna(),
        "negative_energy": energy < 0,
        "energy_out_of_range": energy > 100,
        "voltage_out_of_range": voltage.notna() & ~voltage.between(0, 276),
        "temperature_out_of_range": temperature.notna() & ~temperature.between(-50, 60),
        "future_timestamp": stamp > pd.Timestamp.now("UTC").tz_localize(None),
        "off_cadence_timestamp": stamp.notna() & (stamp.dt.floor("15min") != stamp),
    }
    found = np.full(len(rows), "", dtype=object)
    for name, mask in broken.items():
        found[mask] = np.where(found[mask] == "", name, found[mask] + "|" + name)
    return pd.Series(found, index=rows.index)


def _readings(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.sort_values(KEY, ignore_index=True)
    stamp = rows["reading_timestamp"]
    seconds = stamp.astype("datetime64[s]").astype("int64").astype("string[pyarrow]")
    return pd.DataFrame(
        {
            "reading_id": "ami:" + rows["meter_id"] + ":" + seconds,
            **{name: rows[name] for name in KEY},
            "consumption_kwh": rows["consumption_kwh"],
            "active_power_kw": rows["consumption_kwh"] / 0.25,
            "voltage_v": rows["voltage_v"],
            "temperature_c": rows["temperature_c"],
            "reading_date_local": stamp.dt.normalize(),
            "hour_of_day": stamp.dt.hour,
            "day_of_week": stamp.dt.dayofweek + 1,
        }
    )


def hourly(readings: pd.DataFrame) -> pd.DataFrame:
    hours = readings.assign(hour_start=readings["reading_timestamp"].dt.floor("h")).groupby(
        ["meter_id", "hour_start", "reading_date_local", "hour_of_day"], as_index=False, sort=False
    )
    rows = hours.agg(
        consumption_kwh=("consumption_kwh", "sum"),
        max_power_kw=("active_power_kw", "max"),
        min_power_kw=("active_power_kw", "min"),
        avg_voltage_v=("voltage_v", "mean"),
        reading_count=("consumption_kwh", "count"),
    )
    rows["expected_count"] = 4
    return _shares(rows)


def _shares(rows: pd.DataFrame) -> pd.DataFrame:
    rows["consumption_kwh"] = rows["consumption_kwh"].round(8)
    rows["avg_power_kw"] = rows["consumption_kwh"] / (rows["reading_count"] * 0.25)
    rows["completeness"] = rows["reading_count"] / rows["expected_count"]
    return rows


def _summed(rows: pd.DataFrame, key: list[str], peak: str, start: str) -> pd.DataFrame:
    """What days take from hours and months from days; the peak is the first of equally large hours."""
    weighted = rows.assign(volts=rows["avg_voltage_v"] * rows["reading_count"])
    sums = weighted.groupby(key, as_index=False).agg(
        consumption_kwh=("consumption_kwh", "sum"),
        max_power_kw=("max_power_kw", "max"),
        min_power_kw=("min_power_kw", "min"),
        volts=("volts", "sum"),
        reading_count=("reading_count", "sum"),
    )
    sums["avg_voltage_v"] = sums.pop("volts") / sums["reading_count"]
    first = rows.sort_values([peak, start], ascending=[False, True]).drop_duplicates(key)
    first = first[[*key, start, "hour_of_day" if start == "hour_start" else "peak_hour_of_day", peak]]
    first.columns = [*key, "peak_hour_start", "peak_hour_of_day", "peak_hour_kwh"]
    sums = sums.merge(first, on=key, how="left")
    sums["peak_power_kw"] = sums["max_power_kw"]
    return sums


def daily(hours: pd.DataFrame) -> pd.DataFrame:
    rows = _summed(hours, ["meter_id", "reading_date_local"], "consumption_kwh", "hour_start")
    return _shares(rows.assign(expected_count=96))


def monthly(days: pd.DataFrame) -> pd.DataFrame:
    months = days.assign(month_local=days["reading_date_local"].dt.to_period("M").dt.to_timestamp())
    rows = _summed(months, ["meter_id", "month_local"], "peak_hour_kwh", "peak_hour_start")
    return _shares(rows.assign(expected_count=96 * rows["month_local"].dt.days_in_month))


def features(readings: pd.DataFrame) -> pd.DataFrame:
    """Rolling windows per meter, and the readings of one and seven days before joined by time."""
    rows = readings.drop(columns="voltage_v")
    by_meter = rows.groupby("meter_id", sort=False)
    hour = by_meter.rolling("1h", on="reading_timestamp")["consumption_kwh"]
    day = by_meter.rolling("24h", on="reading_timestamp")["consumption_kwh"]
    rows["rolling_mean_kwh_1h"] = hour.mean().to_numpy()
    rows["rolling_mean_kwh_24h"] = day.mean().to_numpy()
    rows["rolling_std_kwh_24h"] = day.std().to_numpy()
    rows["ratio_to_mean_24h"] = rows["consumption_kwh"] / rows["rolling_mean_kwh_24h"].replace(0, np.nan)
    for name, days in (("same_hour_last_day_kwh", 1), ("same_hour_last_week_kwh", 7)):
        past = readings[[*KEY, "consumption_kwh"]].rename(columns={"consumption_kwh": name})
        past["reading_timestamp"] += pd.Timedelta(days=days)
        rows = rows.merge(past, on=KEY, how="left")
    rows["is_weekend"] = rows["day_of_week"] >= 6
    rows["month_of_year"] = rows["reading_date_local"].dt.month
    return rows


def score(rows: pd.DataFrame, job: Job) -> pd.DataFrame:
    """Rows of mart_anomaly_scores."""
    inputs = pa.Table.from_pandas(rows[list(INPUTS)], preserve_index=False).to_batches(BLOCK)
    judged = pa.Table.from_batches(scored(inputs, load(job.model), 1))
    found = judged.select(["raw_score", "anomaly_score", "is_anomaly", "reasons"]).to_pandas()
    day, week, energy = rows["same_hour_last_day_kwh"], rows["same_hour_last_week_kwh"], rows["consumption_kwh"]
    mean = rows["rolling_mean_kwh_24h"]
    expected = ((day + week) / 2).fillna(day).fillna(week).fillna(mean.where(rows["rolling_std_kwh_24h"].notna()))
    high = (energy >= 1.5 * expected) & (energy > mean)
    low = (energy <= 0.5 * expected) & (energy < mean)
    kind = np.select([~found["is_anomaly"], high, low], [None, *TYPES[:2]], TYPES[2])
    names = ["reading_id", *KEY, "reading_date_local", "active_power_kw"]
    energies = {"consumption_kwh": energy.round(4), "expected_kwh": expected.round(4)}
    return rows[names].assign(**energies, **found, anomaly_type=kind)


def flags(scores: pd.DataFrame, meters: pd.DataFrame) -> pd.DataFrame:
    """Rows of mart_anomaly_flags."""
    key = ["meter_id", "reading_date_local"]
    flagged = scores[scores["is_anomaly"]]
    at_stake = (flagged["consumption_kwh"] - flagged["expected_kwh"]).abs()
    kinds = {name: flagged["anomaly_type"] == name for name in TYPES}
    sums = flagged.assign(energy_at_stake_kwh=at_stake, **kinds).groupby(key, as_index=False)
    days = sums.agg(
        flagged_count=("is_anomaly", "size"),
        energy_at_stake_kwh=("energy_at_stake_kwh", "sum"),
        **{name: (name, "sum") for name in TYPES},
    )
    days["main_type"] = np.array(TYPES)[days[list(TYPES)].to_numpy().argmax(axis=1)]
    worst = flagged.sort_values(["anomaly_score", "reading_timestamp"], ascending=[False, True]).drop_duplicates(key)
    worst = worst[[*key, "anomaly_score", "reading_timestamp", "reasons"]].rename(
        columns={"anomaly_score": "worst_score", "reading_timestamp": "worst_reading_timestamp"}
    )
    counts = scores.groupby(key, as_index=False).agg(
        reading_count=("is_anomaly", "size"), scored_kwh=("consumption_kwh", "sum")
    )
    days = days.drop(columns=list(TYPES)).merge(worst, on=key, how="left").merge(counts, on=key, how="left")
    return days.merge(meters, on="meter_id", how="left")


def metrics(days: pd.DataFrame, meters: pd.DataFrame) -> pd.DataFrame:
    """Rows of mart_consumption_metrics."""
    day = days["reading_date_local"]
    month = day.dt.to_period("M").dt.to_timestamp()
    year = pd.DateOffset(years=1)
    periods = (
        _period(days, "day", day, pd.Timedelta(days=1), year),
        _period(days, "week", day - pd.to_timedelta(day.dt.dayofweek, unit="D"), pd.Timedelta(days=7), None),
        _period(days, "month", month, pd.DateOffset(months=1), year),
    )
    return pd.concat(periods, ignore_index=True).merge(meters, on="meter_id", how="left")


def _period(
    days: pd.DataFrame, name: str, start: pd.Series, step: pd.Timedelta | pd.DateOffset, year: pd.DateOffset | None
) -> pd.DataFrame:
    key = ["meter_id", "period_start_local"]
    rows = days.assign(period_start_local=start).sort_values(
        ["peak_hour_kwh", "peak_hour_start"], ascending=[False, True]
    )
    sums = rows.groupby(key, as_index=False).agg(
        consumption_kwh=("consumption_kwh", "sum"),
        peak_power_kw=("peak_power_kw", "max"),
        peak_hour_of_day=("peak_hour_of_day", "first"),
        reading_count=("reading_count", "sum"),
        expected_count=("expected_count", "sum"),
    )
    energy = sums["consumption_kwh"].round(8)
    for column, change, back in (
        ("previous_kwh", "change_pct", step),
        ("year_before_kwh", "year_change_pct", year or pd.Timedelta(days=364)),
    ):
        past = sums[key].assign(**{column: energy})
        past["period_start_local"] = past["period_start_local"] + back
        sums = sums.merge(past.drop_duplicates(key), on=key, how="left")
        sums[change] = (energy / sums[column].replace(0, np.nan) - 1) * 100
        sums[column] = sums[column].round(4)
    mean_power = energy / (sums["reading_count"] * 0.25)
    sums["load_factor"] = (mean_power / sums["peak_power_kw"]).where(sums["peak_power_kw"] > 0)
    sums["completeness"] = sums["reading_count"] / sums["expected_count"]
    return sums.assign(period=name, consumption_kwh=energy.round(4))


def profile(hours: pd.DataFrame, meters: pd.DataFrame) -> pd.DataFrame:
    """Rows of mart_load_profile."""
    day = hours["reading_date_local"]
    keyed = hours.assign(
        month_local=day.dt.to_period("M").dt.to_timestamp(),
        day_type=np.where(day.dt.dayofweek >= 5, "weekend", "weekday"),
    )
    key = ["meter_id", "month_local", "day_type", "hour_of_day"]
    rows = keyed.groupby(key, as_index=False).agg(energy=("consumption_kwh", "sum"), count=("reading_count", "sum"))
    energy = rows.pop("energy").round(8)
    rows["hours"] = rows.pop("count") * 0.25
    seasons = np.array(["winter", "spring", "summer", "autumn"])
    rows["season"] = seasons[rows["month_local"].dt.month % 12 // 3]
    rows = rows.assign(energy_kwh=energy.round(4), mean_load_kw=energy / rows["hours"])
    return rows.merge(meters, on="meter_id", how="left")


def _keep(job: Job, **tables: pd.DataFrame) -> None:
    for name, rows in tables.items():
        pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), job.table(name))
