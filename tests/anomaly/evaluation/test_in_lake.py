"""The households of the lake, on tables that no Spark wrote: which meters are taken, and where their readings stand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from tests.anomaly.evaluation.test_evaluate import generated
from tests.lake import write

from meterlake.anomaly.evaluation import in_lake
from meterlake.anomaly.evaluation.evaluate import TooShort
from meterlake.anomaly.evaluation.population import Households
from meterlake.settings import Settings
from meterlake.sources.source import Columns, Source
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY

HOURLY = Source(
    name="hourly",
    description="by the hour, on the clock of Berlin",
    interval_minutes=60,
    time_zone="Europe/Berlin",
    columns=Columns(meter_id="m", timestamp="t", value="v"),
)
UTC_HOURLY = HOURLY.model_copy(update={"time_zone": "UTC"})


def reading(meter: str, at: datetime, kwh: float | None = 1.0, **more: Any) -> dict[str, Any]:
    made = {"source": "hourly", "meter_id": meter, "reading_timestamp": at, "reading_date_local": at.date()}
    made |= {"reading_id": f"{meter}:{at}", "consumption_kwh": kwh, "quality": "measured"}
    return made | {"hour_of_day": at.hour, "day_of_week": 1, "is_weekend": False, "month_of_year": at.month} | more


def month(meter: str, first: date, **more: Any) -> dict[str, Any]:
    made = {"source": "hourly", "meter_id": meter, "month_local": first, "reading_count": 720, "expected_count": 720}
    return made | {"completeness": 1.0, "estimated_share": 0.0, "edited_share": 0.0, "quality": "measured"} | more


def fill(settings: Settings, of: Households) -> None:
    """The lake as the pipeline leaves it: every reading measured, in UTC, with its months."""
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=of.first_day)
    hours = [(start + timedelta(hours=n)) for n in range(of.kwh[0].size)]
    months = sorted({at.date().replace(day=1) for at in hours})
    for meter, kwh in zip(of.meters, of.kwh, strict=True):
        rows = [reading(meter, at, float(value)) for at, value in zip(hours, kwh.reshape(-1), strict=True)]
        write(settings, INT_CONSUMPTION_FEATURES, rows)
        write(settings, INT_READINGS_MONTHLY, [month(meter, first) for first in months])


def test_what_stands_in_the_lake_is_what_was_delivered(settings: Settings) -> None:
    of = generated(3, days=20)
    fill(settings, of)
    found = in_lake.in_lake(UTC_HOURLY, settings)
    assert (found.meters, found.first_day, found.interval_minutes) == (of.meters, of.first_day, 60)
    np.testing.assert_array_equal(found.kwh, of.kwh)


def test_a_reading_stands_at_its_local_hour_if_it_was_measured(settings: Settings) -> None:
    """23:00 UTC is midnight in Berlin, and midnight after the clocks went forward is 2 o'clock."""
    winter, summer = datetime(2024, 1, 1, 23, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
    rows = [
        reading("a", winter, 1.5, reading_date_local=date(2024, 1, 2)),
        reading("a", summer, 2.5),
        reading("a", summer + timedelta(hours=1), 3.5, quality="estimated"),
        reading("a", summer + timedelta(hours=2), None, quality="missing"),
        reading("a", summer + timedelta(hours=3), 4.5, source="another"),
        reading("a", datetime(2023, 4, 30, 12, tzinfo=UTC), 5.5),  # older than a year
    ]
    write(settings, INT_CONSUMPTION_FEATURES, rows)
    write(settings, INT_READINGS_MONTHLY, [month("a", date(2024, 4, 1))])
    found = in_lake.in_lake(HOURLY, settings)
    known = np.argwhere(~np.isnan(found.kwh))
    assert found.first_day == (date(2024, 1, 2) - date(1970, 1, 1)).days
    assert known.tolist() == [[0, 0, 0], [0, 90, 2]]
    assert found.kwh[tuple(known.T)].tolist() == [1.5, 2.5]


def test_the_meters_with_most_measured_months_are_taken_and_no_more_than_fit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, before, old = date(2024, 4, 1), date(2024, 3, 1), date(2023, 4, 1)
    months = {
        "a_new": [month("a_new", newest)],
        "b_gone": [month("b_gone", old)],
        "c_estimated": [month("c_estimated", newest, estimated_share=0.5), month("c_estimated", before)],
        **{name: [month(name, newest), month(name, before)] for name in ("f", "e", "d", "g")},
        "h": [month("h", newest), month("h", before, reading_count=600)],
    }
    write(settings, INT_READINGS_MONTHLY, [row for rows in months.values() for row in rows])
    at = datetime(2024, 4, 1, tzinfo=UTC)
    write(settings, INT_CONSUMPTION_FEATURES, [reading(meter, at) for meter in months])
    a_year = 12 * 31 * 24
    for most, taken in ((1, "d e f g"), (5 * a_year, "a_new d e f g"), (6 * a_year, "a_new c_estimated d e f g")):
        monkeypatch.setattr(in_lake, "MOST_READINGS", most)
        assert " ".join(in_lake.in_lake(UTC_HOURLY, settings).meters) == taken
    monkeypatch.setattr(in_lake, "MOST_READINGS", 99 * a_year)
    assert set(in_lake.in_lake(UTC_HOURLY, settings).meters) == months.keys() - {"b_gone"}


def test_an_empty_lake(settings: Settings) -> None:
    with pytest.raises(TooShort):
        in_lake.in_lake(HOURLY, settings)
    write(settings, INT_READINGS_MONTHLY, [month("a", date(2024, 4, 1))])
    write(settings, INT_CONSUMPTION_FEATURES, [reading("a", datetime(2024, 4, 1, tzinfo=UTC), quality="estimated")])
    with pytest.raises(TooShort):
        in_lake.in_lake(HOURLY, settings)
