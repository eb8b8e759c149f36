"""The households of a source as they stand in the lake, read without Spark: the best known ones that memory holds."""

import logging
from datetime import date

import pandas as pd
import pyarrow as pa

from meterlake.anomaly.evaluation.evaluate import TooShort
from meterlake.anomaly.evaluation.population import FEWEST_TO_SPLIT, Households, households
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.months import later
from meterlake.tables.reader import Lake
from meterlake.vee.delivered import MeterSeries, on_local_days

log = logging.getLogger("meterlake")

# Months that are read, with the newest one: all seasons.
MONTHS = 12
# Intervals of all meters together: a year of 112 meters by the half-hour, of 56 by the quarter. The copies with faults,
# of half of the meters, hold three times as many.
MOST_READINGS = 2_000_000
# Share of a month's intervals that are measured in a month that counts as known.
KNOWN_SHARE_PCT = 90


def in_lake(source: Source, settings: Settings) -> Households:
    """The measured readings of int_consumption_features: those of stg_meter_readings at the declared length.

    Of the meters those with the most known months of the last year, equals in the order of their names: the same ones
    each time, and in a large lake neighbours, so that most of its files are skipped.

    Raises:
        TooShort: none of them is there.
        Unreachable: the lake cannot be read.
    """
    lake = Lake.of(settings)
    first = _first_month(lake, source)
    meters = _best_known(lake, source, first) if first else ()
    if not first or not meters:
        raise TooShort
    found = lake.arrow(
        """
        SELECT meter_id, reading_timestamp, consumption_kwh FROM int_consumption_features
        WHERE source = :source AND reading_date_local >= :first AND quality = 'measured'
            AND meter_id BETWEEN :lowest AND :highest AND meter_id IN :meters
        ORDER BY meter_id, reading_timestamp
        """,
        source=source.name,
        first=first,
        lowest=min(meters),
        highest=max(meters),
        meters=meters,
    )
    if found.num_rows == 0:
        raise TooShort
    series = _series(found, source)
    log.info("read      %d readings of %d meters from %s on, from the lake", found.num_rows, len(series), first)
    return households(series, source.interval_minutes)


def _first_month(lake: Lake, source: Source) -> date | None:
    """The first of MONTHS months, of which the source's newest is the last; None where it has none."""
    found = lake.rows(
        "SELECT MAX(month_local) AS last FROM int_readings_monthly WHERE source = :name", name=source.name
    )
    last: date | None = found[0]["last"] if found else None
    return last and later(last, 1 - MONTHS)


def _best_known(lake: Lake, source: Source, first: date) -> tuple[str, ...]:
    intervals = MONTHS * 31 * 1440 // source.interval_minutes
    found = lake.rows(
        """
        SELECT meter_id FROM int_readings_monthly WHERE source = :name AND month_local >= :first
        GROUP BY meter_id
        ORDER BY COUNT(*) FILTER (
            WHERE reading_count * (1 - COALESCE(estimated_share, 0) - COALESCE(edited_share, 0)) * 100
                >= expected_count * :known
        ) DESC, meter_id
        LIMIT :most
        """,
        name=source.name,
        first=first,
        known=KNOWN_SHARE_PCT,
        most=max(FEWEST_TO_SPLIT, MOST_READINGS // intervals),
    )
    return tuple(row["meter_id"] for row in found)


def _series(readings: pa.Table, source: Source) -> list[MeterSeries]:
    second = readings["reading_timestamp"].cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.int64()).to_numpy()
    day, slot = on_local_days(second, source)
    frame = pd.DataFrame({"day": day, "slot": slot, "kwh": readings["consumption_kwh"].to_numpy()})
    return [
        MeterSeries(str(meter), *(one[name].to_numpy() for name in ("kwh", "day", "slot")))
        for meter, one in frame.groupby(readings["meter_id"].to_numpy(), sort=False)
    ]
