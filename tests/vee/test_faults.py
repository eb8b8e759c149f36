"""Faults that are put in to measure rules: drawn by a seed, each in a meter of its own, and nothing else changes."""

import numpy as np
import pytest
from tests.vee.test_rules import household

from meterlake import generated_block
from meterlake.settings import PROJECT
from meterlake.vee.faults import LEAST_DAYS, Events, faults, put_in
from meterlake.vee.rulebook import RULES
from meterlake.vee.rules_sums import register_sum, sub_meters
from meterlake.vee.series import Series, series_of

METERS, SLOTS = 12, 48


@pytest.fixture(scope="module")
def alone() -> Series:
    """Half-hours of 12 households."""
    kwh = np.concatenate([household(LEAST_DAYS, seed) for seed in range(METERS)])
    minute = np.tile(np.arange(LEAST_DAYS * SLOTS) * 30, METERS)
    return series_of(np.repeat(np.arange(METERS), LEAST_DAYS * SLOTS), minute, kwh, 30)


def _same(one: Events, other: Events) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_each_kind_is_named_by_its_rule_and_drawn_by_the_seed(alone: Series) -> None:
    _, events = put_in(alone, np.arange(METERS), seed=1)
    assert sorted(events.kind) == sorted(2 * [fault.rule for fault in faults(alone)])
    assert set(events.kind) < RULES.keys()
    assert len(set(alone.number[events.begin])) == METERS
    assert np.array_equal(alone.number[events.begin], alone.number[events.end - 1]), "a fault ends with its meter"
    assert _same(put_in(alone, np.arange(METERS), seed=1)[1], events)
    assert not _same(put_in(alone, np.arange(METERS), seed=2)[1], events)


def test_outside_of_its_faults_a_meter_records_what_it_did(alone: Series) -> None:
    faulty, events = put_in(alone, np.arange(METERS), seed=1)
    outside = np.ones(alone.size, dtype=bool)
    for begin, end in zip(events.begin, events.end, strict=True):
        outside[begin:end] = False
    assert np.array_equal(faulty.kwh[outside], alone.kwh[outside])
    changed = {
        kind: (faulty.kwh[b:e] != alone.kwh[b:e]).any() for kind, b, e in zip(*vars(events).values(), strict=True)
    }
    assert [kind for kind, any_is in changed.items() if not any_is] == ["sub_meters"], "these change another channel"


def test_without_a_fault_register_and_sub_meters_agree_with_the_intervals(alone: Series) -> None:
    faulty, events = put_in(alone, np.array([], dtype=np.int64), seed=1)
    assert len(events.kind) == 0
    assert np.array_equal(faulty.kwh, alone.kwh)
    assert np.count_nonzero(~np.isnan(faulty.register_kwh)) == METERS * LEAST_DAYS
    assert len(register_sum(faulty, faulty.kwh)) == len(sub_meters(faulty)) == 0


def test_the_measured_table_has_every_kind(alone: Series) -> None:
    table = generated_block.block((PROJECT / "docs" / "vee.md").read_text(encoding="utf-8"), "recall of faults")
    assert [fault.what for fault in faults(alone) if f"| {fault.what} |" not in table] == []
