"""The evaluation knows what was hidden, and the balance makes the list better."""

from meterlake.losses.evaluate import RANKINGS, calibration, precision, recovered, world


def test_the_balance_finds_more_than_the_past_alone() -> None:
    worlds = [world(seed, 400) for seed in (3, 4)]
    for one in worlds:
        assert 0 < one.hides.mean() < 0.1
        assert (one.hidden_kwh[~one.hides] <= 0.05 * one.used_kwh[~one.hides]).all()
    with_balance, without = RANKINGS["mart_suspects"], RANKINGS["the same without a balance"]
    assert precision(worlds, with_balance, 5).value > precision(worlds, without, 5).value
    assert 0.7 < recovered(worlds, with_balance, 20) <= 1
    assert sum(count for _, count, _, _ in calibration(worlds)) == sum(
        int((one.with_balance.probability > 0).sum()) for one in worlds
    )
