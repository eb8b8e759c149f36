"""Who is suspected: a shortfall that the transformer shows, too; and who is not."""

import numpy as np
import pytest

from meterlake.losses.suspects import Days, judge

METERS, PAST, NOW = 12, 31, 30
THIEF, TRAVELLER = 3, 7


def transformer(*, balanced: bool = True, past: int = PAST) -> Days:
    """Twelve meters. One hides 60 % of its use from the 11th day of the month on, one is away on its last ten days."""
    draw = np.random.default_rng(5)
    used = draw.uniform(5, 15, (METERS, 1)) * draw.lognormal(0, 0.15, (METERS, past + NOW))
    used[TRAVELLER, past + 20 :] *= 0.1
    read = used.copy()
    read[THIEF, past + 10 :] *= 0.4
    loss = 0.03 * used.sum(axis=0)
    unexplained = used.sum(axis=0) - read.sum(axis=0) + draw.normal(0, 0.2, past + NOW)
    unexplained[:past] = np.nan
    return Days(
        kwh=read,
        kind=np.arange(past + NOW) % 7 // 5,
        past=np.arange(past + NOW) < past,
        level=np.full(past + NOW, 10.0),
        unexplained=unexplained if balanced else np.full(past + NOW, np.nan),
        supplied=used.sum(axis=0) + loss,
    )


def test_energy_that_is_missing_at_the_transformer_too_is_found_at_its_meter() -> None:
    days = transformer()
    judged = judge(days)
    hidden = days.kwh[THIEF, PAST + 10 :].sum() / 0.4 * 0.6
    assert judged.recoverable_kwh.argmax() == THIEF
    assert judged.recoverable_kwh[THIEF] == pytest.approx(hidden, rel=0.15)
    assert judged.since[THIEF] == pytest.approx(PAST + 10, abs=1)
    others = np.delete(judged.recoverable_kwh, THIEF)
    assert others.max() < 0.1 * judged.recoverable_kwh[THIEF]


def test_who_is_away_is_cleared_by_the_balance_and_suspected_without_one() -> None:
    assert judge(transformer()).probability[TRAVELLER] < 0.1
    without = judge(transformer(balanced=False))
    assert np.isnan(without.unexplained_kwh).all()
    assert without.recoverable_kwh[TRAVELLER] > 20


def test_a_past_that_is_too_short_accuses_nobody() -> None:
    judged = judge(transformer(past=13))
    assert np.isnan(judged.reference_kwh).all()
    assert not (np.nan_to_num(judged.recoverable_kwh) > 0).any()


def test_an_unknown_day_is_no_shortfall() -> None:
    days = transformer(balanced=False)
    days.kwh[0, PAST:] = np.nan
    days.kwh[1, PAST + 3 : PAST + 13] = np.nan
    judged = judge(days)
    assert np.isnan(judged.shortfall_kwh[0])
    assert np.isnan(judged.recoverable_kwh[0])
    assert abs(judged.shortfall_kwh[1]) < 0.3 * judged.reference_kwh[1]
    assert judged.reference_kwh[1] == pytest.approx(20 * np.nanmedian(days.kwh[1, :PAST]), rel=0.2)


def test_a_cold_month_of_the_whole_region_is_nobodys_shortfall() -> None:
    days = transformer(balanced=False)
    days.kwh[:, PAST:] *= 0.6
    days.level[PAST:] *= 0.6
    judged = judge(days)
    assert np.abs(judged.shortfall_kwh[0] / judged.reference_kwh[0]) < 0.1
    assert judged.recoverable_kwh.argmax() in (THIEF, TRAVELLER)


def test_a_meter_that_never_moved_and_moves_now_is_certain() -> None:
    days = transformer(balanced=False)
    days.kwh[2] = 10.0
    days.kwh[2, PAST + 5 :] = 4.0
    judged = judge(days)
    assert judged.standard_errors[2] == np.inf
    assert judged.recoverable_kwh[2] == pytest.approx(25 * 6.0)
