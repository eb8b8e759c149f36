"""The head figures of a source and its load over time, from the marts, the ledger and the list of suspects."""

from typing import Any

import pandas as pd

from meterlake.report.look import figures, number, percent
from meterlake.report.sections import Tile, period
from meterlake.settings import Settings
from meterlake.ui import visits
from meterlake.ui.asked import Page
from meterlake.ui.marts import summed


def days(settings: Settings, source: str) -> pd.DataFrame:
    """Per local day, over all meters: reading_date_local, reading_count, expected_count, consumption_kwh."""
    return summed(
        settings,
        "SELECT period_start_local AS reading_date_local, sum(m.reading_count) AS reading_count, "
        "sum(m.expected_count) AS expected_count, toFloat64(sum(m.consumption_kwh)) AS consumption_kwh "
        "FROM consumption_metrics AS m WHERE source = {source:String} AND period = 'day' "
        "GROUP BY reading_date_local ORDER BY reading_date_local",
        source=source,
    )


def flags(settings: Settings, source: str, bucket: str) -> pd.DataFrame:
    """Per local day or week with a flag: start, flagged, worst, meters."""
    start = "toMonday(reading_date_local)" if bucket == "week" else "reading_date_local"
    found = summed(
        settings,
        f"SELECT {start} AS start, sum(flagged_count) AS flagged, max(worst_score) AS worst, "
        "uniqExact(meter_id) AS meters FROM anomaly_flags "
        "WHERE source = {source:String} AND flagged_count > 0 GROUP BY start ORDER BY start",
        source=source,
    )
    return found.assign(start=pd.to_datetime(found["start"]))


def tiles(settings: Settings, source: str, by_day: pd.DataFrame, ledger: dict[str, int]) -> list[Tile]:
    """The eight numbers at the top, each with a note and the class of its colour."""
    counts = _counts(settings, source)
    known, expected = int(by_day["reading_count"].sum()), int(by_day["expected_count"].sum())
    energy = float(by_day["consumption_kwh"].sum())
    lines, rejected = ledger.get("lines", 0), ledger.get("quarantined", 0) + ledger.get("unparsable", 0)
    head = _recoverable(settings, source)
    return [
        ("Meters", number(counts["meters"]), source, ""),
        ("Readings", number(known), "with a value", "measured"),
        ("Period", number(len(by_day)), period(by_day), ""),
        ("Energy", figures(energy) if energy < 100 else number(energy), "kWh", "measured"),
        ("Completeness", percent(known / expected if expected else None), "of the days with data", "missing"),
        (
            "Rejected lines",
            number(rejected),
            f"{percent(rejected / lines if lines else None, 2)} of {number(lines)} lines",
            "quarantined",
        ),
        (
            "Flagged readings",
            number(counts["flagged"]),
            f"{percent(counts['flagged'] / counts['scored'] if counts['scored'] else None, 2)} of those scored",
            "anomaly",
        ),
        ("Recoverable", head[0], head[1], "anomaly"),
    ]


def _counts(settings: Settings, source: str) -> dict[str, int]:
    meters = "SELECT uniqExact(meter_id) FROM consumption_metrics WHERE source = {source:String} AND period = 'month'"
    found = summed(
        settings,
        f"SELECT ({meters}) AS meters, count() AS scored, countIf(is_anomaly) AS flagged FROM anomaly_scores "
        "WHERE source = {source:String}",
        source=source,
    )
    return {name: int(found[name].iloc[0]) for name in found.columns}


def _recoverable(settings: Settings, source: str) -> tuple[str, str]:
    """The energy on the latest list of suspects, and what it is of."""
    months: list[Any] = visits.months(settings, source)
    if not months:
        return number(None), "no meter is suspected"
    first = visits.suspects(settings, source, months[0], Page(1))[0]
    meters = f"{number(first['suspects'])} {'meter' if first['suspects'] == 1 else 'meters'}"
    return number(float(first["all_kwh"])), f"kWh in {months[0]:%B %Y}, {meters}"
