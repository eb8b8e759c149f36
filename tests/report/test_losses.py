"""The report's part about losses draws what there is, and nothing where nothing is balanced."""

import pandas as pd

from meterlake.report.losses import ENERGIES, picture, says

DAYS = pd.DataFrame(
    {
        "reading_date_local": pd.to_datetime(["2024-02-02", "2024-02-01", "2024-02-03"]),
        **dict.fromkeys(ENERGIES, 0.0),
        "balanced": [2, 1, 0],
        "elements": [2, 2, 2],
    }
).assign(
    supplied_kwh=[200.0, 100.0, None], technical_loss_kwh=[8.0, 5.0, None], non_technical_loss_kwh=[-2.0, 10.0, None]
)


def test_bars_are_shares_of_the_energy_supplied_in_the_order_of_days() -> None:
    chart = picture(DAYS)
    assert chart is not None
    technical, rest = chart.data
    assert list(technical.y) == [5.0, 4.0]
    assert list(rest.y) == [10.0, -1.0]


def test_sums_leave_out_what_is_not_balanced() -> None:
    told = says(DAYS)
    assert told is not None
    assert (told["supplied_kwh"], told["non_technical_loss_kwh"], told["balanced"]) == (300.0, 8.0, 0.5)


def test_nothing_balanced_is_nothing_to_see() -> None:
    assert picture(pd.DataFrame()) is None
    assert says(DAYS.assign(balanced=0)) is None
