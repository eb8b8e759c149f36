"""Population stability: nothing where nothing changed, the textbook's number where it is known, and words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlake.anomaly.drift import (
    BINS,
    DAYS,
    FEWEST_ROWS,
    LEAST_SHARE,
    SCORE,
    Reference,
    Shift,
    psi,
    shifts,
    training_is_due,
)
from meterlake.anomaly.watch import advice

DRAW = np.random.default_rng(11)
NORMAL = DRAW.normal(size=(20_000, 1)).astype(np.float32)
SHARES = st.lists(st.integers(0, 1000), min_size=BINS, max_size=BINS).filter(any)


def reference(rows: np.ndarray) -> Reference:
    return Reference.of(rows, [f"c{number}" for number in range(rows.shape[1])])


def shift(name: str, value: float) -> Shift:
    return Shift(name, value, 5000, "above 1: 10.0% of the readings in training, 40.0% now")


@pytest.mark.parametrize(
    ("expected", "counts", "value"),
    [
        pytest.param([0.5, 0.5], [70, 30], 0.2 * np.log(1.4) - 0.2 * np.log(0.6), id="by_hand"),
        pytest.param([0.5, 0.5], [7, 7], 0.0, id="the_same"),
        pytest.param([1.0, 0.0], [9, 0], 0.0, id="empty_on_both_sides"),
        pytest.param([0.9, 0.1], [9, 0], (0.1 - LEAST_SHARE) * np.log(0.1 / LEAST_SHARE) + 0.1 * np.log(1 / 0.9),
                     id="emptied"),
        pytest.param([1.0, 0.0], [1, 1], 0.5 * np.log(2) + (0.5 - LEAST_SHARE) * np.log(0.5 / LEAST_SHARE),
                     id="filled_where_training_had_none"),
    ],
)  # fmt: skip
def test_psi(expected: list[float], counts: list[int], value: float) -> None:
    assert psi(expected, counts) == pytest.approx(value, abs=1e-12)


@given(SHARES, SHARES)
def test_psi_is_finite_symmetric_and_never_negative(one: list[int], other: list[int]) -> None:
    p, q = np.array(one) / sum(one), np.array(other) / sum(other)
    assert 0 <= psi(p, other) < 20
    assert psi(p, other) == pytest.approx(psi(q, one))


def test_training_rows_lie_in_ten_equal_bins() -> None:
    of = reference(NORMAL)
    assert of.shares[0] == pytest.approx([0.1] * BINS, abs=1e-3)
    assert psi(of.shares[0], of.counts(NORMAL)[0]) == pytest.approx(0, abs=1e-12)


def test_counts_are_of_every_row_and_add_up_over_parts() -> None:
    of, rows = reference(NORMAL), DRAW.normal(1, 3, size=(999, 1)).astype(np.float32)
    np.testing.assert_array_equal(of.counts(rows), of.counts(rows[:400]) + of.counts(rows[400:]))
    by_hand = np.histogram(rows, [-np.inf, *np.nextafter(np.float32(of.edges[0]), np.float32(9)), np.inf])[0]
    np.testing.assert_array_equal(of.counts(rows)[0], by_hand)
    np.testing.assert_array_equal(of.counts(rows[:0]), of.nothing)


def test_psi_of_a_known_shift_of_a_normal_variable() -> None:
    """Without bins it is the sum of both Kullback-Leibler divergences: the shift squared, in standard deviations."""
    of = Reference.of(NORMAL, ["x"])
    moved = psi(of.shares[0], of.counts(NORMAL + np.float32(0.5))[0])
    assert 0.21 < moved < 0.25


def test_psi_without_a_shift_is_what_chance_makes() -> None:
    """Yurdakul (2018): about 9 (1/n + 1/m); 1,000 rows then stay far below 0.1."""
    of = reference(NORMAL)
    found = [psi(of.shares[0], of.counts(DRAW.normal(size=(1000, 1)).astype(np.float32))[0]) for _ in range(200)]
    assert np.mean(found) == pytest.approx(9 * (1 / 1000 + 1 / 20_000), rel=0.15)
    assert max(found) < 0.1


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.zeros(500), id="one_value"),
        pytest.param(np.where(np.arange(500) % 4, 0.0, DRAW.normal(size=500)), id="three_quarters_are_a_fill"),
        pytest.param(np.sin(np.arange(500) % 24 * 2 * np.pi / 24), id="hours"),
    ],
)
def test_values_that_repeat_stay_in_their_bin(values: np.ndarray) -> None:
    rows = values.astype(np.float32)[:, None]
    of = reference(rows)
    assert sum(of.shares[0]) == pytest.approx(1)
    assert psi(of.shares[0], of.counts(rows)[0]) == pytest.approx(0, abs=1e-12)


def test_a_row_that_stands_for_three_counts_three_times() -> None:
    few, many = NORMAL[:500], NORMAL[500:1000] + 2
    weighted = Reference.of(np.concatenate([few, many]), ["x"], np.repeat([1.0, 3.0], 500))
    repeated = reference(np.concatenate([few, many, many, many]))
    assert weighted.edges == repeated.edges
    assert weighted.shares[0] == pytest.approx(repeated.shares[0])


def test_the_shift_names_what_moved_most() -> None:
    of = reference(np.hstack([NORMAL, NORMAL]))
    rows = np.hstack([NORMAL, np.where(np.arange(len(NORMAL))[:, None] % 2, 5.0, NORMAL)]).astype(np.float32)
    still, moved = shifts(of, of.counts(rows))
    assert still.told == "0.000 on 20,000 readings, no shift to speak of"
    assert moved.large
    assert moved.told.startswith(f"{moved.psi:.3f} on 20,000 readings, a large shift; most of it above 1.")
    assert moved.told.endswith("10.0% of the readings in training, 55.1% now")


def test_few_readings_say_nothing() -> None:
    of = reference(NORMAL)
    assert shifts(of, of.counts(NORMAL[: FEWEST_ROWS - 1])) == []
    assert len(shifts(of, of.counts(NORMAL[:FEWEST_ROWS]))) == 1
    assert shifts(of, of.nothing) == []


@pytest.mark.parametrize(
    ("values", "due"),
    [
        pytest.param({}, None, id="nothing_counted"),
        pytest.param({"a": 0.2, "b": 0.2, "c": 0.2, "d": 0.2, SCORE: 0.25}, None, id="at_the_limit"),
        pytest.param({"a": 0.3, "b": 0.2, "c": 0.2, "d": 0.2, SCORE: 0.1}, None, id="a_quarter_of_the_features"),
        pytest.param({"a": 0.3, "b": 0.3, "c": 0.2, "d": 0.2, SCORE: 0.1}, "2 of 4 features are above 0.25 (a, b)",
                     id="half_of_the_features"),
        pytest.param({"a": 0.0, SCORE: 0.31}, "the raw score's PSI is 0.31 and 0 of 1 features are above 0.25",
                     id="the_score"),
    ],
)  # fmt: skip
def test_when_training_is_due(values: dict[str, float], due: str | None) -> None:
    assert training_is_due([shift(name, value) for name, value in values.items()]) == due


def test_a_moderate_shift_is_told_and_is_no_failure() -> None:
    moderate = replace(shift("a", 0.0), psi=0.15)
    assert not moderate.large
    assert "a moderate shift; most of it above 1" in moderate.told


def test_a_run_says_once_that_training_is_due_and_how() -> None:
    (said,) = advice("meterlake-london/3", "london", [shift("a", 0.0), shift(SCORE, 0.31)])
    assert said.startswith("Train again: the readings have moved away from those of meterlake-london/3 (the raw score")
    assert said.endswith("`meterlake train --challenger --source london`.")
    assert advice("meterlake-london/3", "london", [shift("a", 0.0), shift(SCORE, 0.2)]) == []


def test_whole_days_are_told_as_such() -> None:
    of = reference(np.hstack([NORMAL, NORMAL]))
    found = shifts(of, of.counts(np.hstack([NORMAL, NORMAL + 2])), DAYS)
    assert found[0].told == "0.000 on 20,000 meter-days, no shift to speak of"
    assert "of the meter-days in training" in found[1].told
    (said,) = advice("meterlake-london/3", "london", [found[1], replace(found[0], name="surprise")])
    assert "the meter-days have moved away from those of meterlake-london/3 (1 of 1 signs are above 0.25 (c1))" in said
