"""Where to look first: the meter-days that the model flags, and the meters where energy may be recovered."""

from datetime import date
from typing import Any

from meterlake.settings import Settings
from meterlake.ui.asked import ROWS, Page
from meterlake.ui.marts import listed

TYPES = ("high_consumption", "low_consumption", "unusual_pattern")


def flagged_days(settings: Settings, source: str, kind: str, page: Page, most: int = ROWS) -> list[dict[str, Any]]:
    """A page of the meter-days for which anything speaks, the surest first; one more than `most`, if any.

    Args:
        kind: only days whose flags are mostly of this type; "" for all.
    """
    return listed(
        settings,
        "SELECT meter_id, region, feeder, reading_date_local, reading_count, flagged_count, worst_score, main_type, "
        "evidence, confidence, why, energy_at_stake_kwh FROM marts.mart_anomaly_flags WHERE source = %(source)s "
        "AND (%(kind)s = '' OR main_type = %(kind)s) "
        "ORDER BY confidence DESC NULLS LAST, worst_score DESC, energy_at_stake_kwh DESC NULLS LAST, "
        "reading_date_local, meter_id "
        "LIMIT %(most)s OFFSET %(skip)s",
        source=source,
        kind=kind,
        most=most + 1,
        skip=page.skip,
    )


def inspections(settings: Settings, source: str, most: int) -> list[dict[str, Any]]:
    """The `most` meters whose whole days are least like their own past, each with its strangest day."""
    return listed(
        settings,
        "SELECT * FROM (SELECT DISTINCT ON (meter_id) meter_id, region, feeder, reading_date_local, day_score, "
        "consumption_kwh, usual_kwh, reasons, count(*) OVER (PARTITION BY meter_id) AS days "
        "FROM marts.mart_inspections WHERE source = %(source)s "
        "ORDER BY meter_id, day_score DESC, reading_date_local) AS of_meter "
        "ORDER BY day_score DESC, meter_id LIMIT %(most)s",
        source=source,
        most=most,
    )


def months(settings: Settings, source: str) -> list[date]:
    """The months that have a list of suspects, the latest first; 120 at most."""
    found = listed(
        settings,
        "SELECT DISTINCT month_local FROM marts.mart_suspects WHERE source = %(source)s "
        "ORDER BY month_local DESC LIMIT 120",
        source=source,
    )
    return [row["month_local"] for row in found]


def suspects(settings: Settings, source: str, month: date, page: Page) -> list[dict[str, Any]]:
    """A page of the list of a month: whom to visit first, by what a visit is expected to bring back.

    Each row also has `suspects` and `all_kwh`, the number of all and the energy of all.
    """
    return listed(
        settings,
        "SELECT meter_id, region, feeder, transformer, since_local, consumption_kwh, reference_kwh, shortfall_kwh, "
        "balanced_by, probability, recoverable_kwh, reason, count(*) OVER () AS suspects, "
        "sum(recoverable_kwh) OVER () AS all_kwh FROM marts.mart_suspects "
        "WHERE source = %(source)s AND month_local = %(month)s "
        "ORDER BY recoverable_kwh DESC, meter_id LIMIT %(most)s OFFSET %(skip)s",
        source=source,
        month=month,
        most=ROWS,
        skip=page.skip,
    )


def of_meter(settings: Settings, source: str, meter: str) -> list[dict[str, Any]]:
    """The months in which the meter stands on the list of suspects."""
    return listed(
        settings,
        "SELECT month_local, since_local, consumption_kwh, reference_kwh, shortfall_kwh, probability, recoverable_kwh, "
        "balanced_by, reason FROM marts.mart_suspects WHERE source = %(source)s AND meter_id = %(meter)s "
        "ORDER BY month_local DESC LIMIT 24",
        source=source,
        meter=meter,
    )
