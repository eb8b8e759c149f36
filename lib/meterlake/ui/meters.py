"""Meters: the list, and of one meter its days, its readings with their quality and its anomalies with their reasons."""

from datetime import date
from typing import Any

import pandas as pd

from meterlake.report.data import records
from meterlake.report.look import figures, number, percent
from meterlake.report.sections import Tile, on_clock
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.reader import Lake
from meterlake.ui.asked import ROWS, Page
from meterlake.ui.marts import summed

ORDERS = {
    "meter": "meter_id",
    "energy": "kwh DESC, meter_id",
    "flagged": "flagged DESC, worst DESC, meter_id",
    "completeness": "completeness, meter_id",
}
MOST_READINGS = 50_000  # more than a month of minutes


def of_source(settings: Settings, source: str, search: str, order: str, page: Page) -> list[dict[str, Any]]:
    """A page of the meters whose name contains `search`: place, energy, completeness, flags. All of it by months.

    Each row also has `meters`, the number of all that were found.
    """
    found = summed(
        settings,
        "WITH flags AS (SELECT meter_id, sum(flagged_count) AS flagged, max(worst_score) AS worst FROM anomaly_flags "
        "WHERE source = {source:String} AND flagged_count > 0 GROUP BY meter_id) "
        "SELECT meter_id, count() OVER () AS meters, region, feeder, kwh, completeness, estimated, first_month, "
        "last_month, flags.flagged AS flagged, flags.worst AS worst FROM ("
        "SELECT meter_id, any(m.region) AS region, any(m.feeder) AS feeder, "
        "toFloat64(sum(m.consumption_kwh)) AS kwh, sum(m.reading_count) / sum(m.expected_count) AS completeness, "
        "sum(m.reading_count * m.estimated_share) / sum(m.reading_count) AS estimated, "
        "min(m.period_start_local) AS first_month, max(m.period_start_local) AS last_month "
        "FROM consumption_metrics AS m WHERE source = {source:String} AND period = 'month' "
        "AND positionCaseInsensitiveUTF8(meter_id, {search:String}) > 0 GROUP BY meter_id) AS known "
        f"LEFT JOIN flags USING meter_id ORDER BY {ORDERS[order]} LIMIT {{most:UInt32}} OFFSET {{skip:UInt32}}",
        source=source,
        search=search,
        most=ROWS,
        skip=page.skip,
    )
    return records(found)


def days(settings: Settings, source: str, meter: str) -> pd.DataFrame:
    """The days of a meter: day, kwh, quality, known, expected, estimated, edited (shares), region, feeder."""
    return summed(
        settings,
        "SELECT period_start_local AS day, toFloat64(consumption_kwh) AS kwh, quality, reading_count AS known, "
        "expected_count AS expected, estimated_share AS estimated, edited_share AS edited, region, feeder "
        "FROM consumption_metrics WHERE source = {source:String} AND period = 'day' AND meter_id = {meter:String} "
        "ORDER BY day",
        source=source,
        meter=meter,
    )


def anomalies(settings: Settings, source: Source, meter: str, page: Page) -> list[dict[str, Any]]:
    """A page of the flagged readings of a meter, the worst first; each row also has `flagged`, the number of all."""
    found = summed(
        settings,
        "SELECT reading_timestamp, reading_date_local AS day, anomaly_score AS score, anomaly_type AS type, "
        "toFloat64(consumption_kwh) AS kwh, toFloat64(expected_kwh) AS expected_kwh, reasons, "
        "count() OVER () AS flagged FROM anomaly_scores WHERE source = {source:String} AND meter_id = {meter:String} "
        "AND is_anomaly ORDER BY score DESC, reading_timestamp LIMIT {most:UInt32} OFFSET {skip:UInt32}",
        source=source.name,
        meter=meter,
        most=ROWS,
        skip=page.skip,
    )
    return records(found.assign(at=on_clock(found["reading_timestamp"], source)))


def readings(lake: Lake, settings: Settings, source: Source, meter: str, first: date, last: date) -> pd.DataFrame:
    """The current readings of some local days beside what the model says of them.

    Returns:
        at (the source's clock), kwh, kw, quality, delivered_kwh, delivered_quality, expected_kw, score, flagged,
        reasons; no columns where there is no reading.
    """
    found = lake.frame(
        "SELECT reading_timestamp, interval_minutes, consumption_kwh AS kwh, delivered_kwh, quality, "
        "delivered_quality FROM stg_meter_readings WHERE source = :source AND meter_id = :meter "
        "AND reading_date_local BETWEEN :first AND :last ORDER BY reading_timestamp LIMIT :most",
        source=source.name,
        meter=meter,
        first=first,
        last=last,
        most=MOST_READINGS,
    )
    if found.empty:
        return pd.DataFrame()
    start = found["reading_timestamp"].dt.tz_localize(None).astype("datetime64[s]")
    judged = _scores(settings, source.name, meter, first, last)
    judged = judged.assign(reading_timestamp=pd.to_datetime(judged["reading_timestamp"]).astype("datetime64[s]"))
    both = found.assign(reading_timestamp=start).merge(judged, on="reading_timestamp", how="left")
    per_hour = 60 / both["interval_minutes"]
    return both.assign(
        at=on_clock(both["reading_timestamp"], source),
        kw=both["kwh"] * per_hour,
        expected_kw=both["expected_kwh"].astype("float64") * per_hour,
        flagged=both["flagged"].eq(True),
    )


def _scores(settings: Settings, source: str, meter: str, first: date, last: date) -> pd.DataFrame:
    return summed(
        settings,
        "SELECT reading_timestamp, toFloat64(expected_kwh) AS expected_kwh, anomaly_score AS score, "
        "is_anomaly AS flagged, reasons FROM anomaly_scores WHERE source = {source:String} "
        "AND meter_id = {meter:String} AND reading_date_local BETWEEN {first:Date} AND {last:Date} LIMIT {most:UInt32}",
        source=source,
        meter=meter,
        first=first,
        last=last,
        most=MOST_READINGS,
    )


def flagged_days(settings: Settings, source: str, meter: str) -> set[date]:
    """The local days of a meter with a flag."""
    found = summed(
        settings,
        "SELECT DISTINCT reading_date_local AS day FROM anomaly_scores WHERE source = {source:String} "
        "AND meter_id = {meter:String} AND is_anomaly",
        source=source,
        meter=meter,
    )
    return set(found["day"])


def tiles(by_day: pd.DataFrame, flagged: int) -> list[Tile]:
    """The numbers of a meter: energy, completeness, what was estimated or edited, flags."""
    known, expected = int(by_day["known"].sum()), int(by_day["expected"].sum())
    energy = float(by_day["kwh"].sum())
    changed = {
        name: float((by_day["known"] * by_day[name].astype("float64")).sum()) for name in ("estimated", "edited")
    }
    shares = {name: percent(count / known if known else None) for name, count in changed.items()}
    span = f"{by_day['day'].iloc[0]} to {by_day['day'].iloc[-1]}"
    return [
        ("Energy", figures(energy, 4), f"kWh, {span}", "measured"),
        ("Completeness", percent(known / expected if expected else None), f"{number(known)} readings", "missing"),
        ("Estimated", shares["estimated"], f"of the readings; {shares['edited']} edited", "estimated"),
        ("Flagged readings", number(flagged), "by the model", "anomaly"),
    ]
