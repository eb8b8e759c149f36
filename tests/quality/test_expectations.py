"""What must hold for the suites as such, whatever they judge."""

from collections import Counter

import pytest
from pyspark.sql import DataFrame

from meterlake.quality.expectations import SUITES
from meterlake.quality.gate import TABLES_OF, facts_of
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.catalog import TABLES


def test_there_are_at_least_twenty_expectations_of_each_severity_kind(london: Source, settings: Settings) -> None:
    suites = {name: suite(london, settings) for name, suite in SUITES.items()}
    assert set(suites) == {"raw_readings", "staging_readings", "marts_metrics"}
    assert sum(map(len, suites.values())) >= 20
    for expectations in suites.values():
        assert {str(one.severity.value) for one in expectations} == {"critical", "warning"}


@pytest.mark.parametrize("suite", SUITES)
def test_an_expectation_is_told_by_its_words(suite: str, london: Source, settings: Settings) -> None:
    words = [str(one.description) for one in SUITES[suite](london, settings)]
    assert [text for text, count in Counter(words).items() if count > 1] == []
    assert all(text[0].isupper() and not text.endswith(".") and len(text) < 90 for text in words)


@pytest.mark.parametrize("suite", SUITES)
def test_every_expectation_is_about_a_fact_and_every_fault_is_judged(
    suite: str, story: dict[str, DataFrame], bronze: DataFrame, ledger: DataFrame, london: Source, settings: Settings
) -> None:
    frames = story | {"meter_readings": bronze, "ledger": ledger}
    facts = facts_of(suite, {name: frames[name] for name in TABLES_OF[suite]}, london, settings)
    judged = {one.column for one in SUITES[suite](london, settings)}
    assert judged - set(facts.columns) == set()
    # What only counts is for the reader, and what is judged as a share of a batch needs no count of its own.
    for_reading = {"kind", "subject", "lines", "readings", "meters"}
    as_share = {"unparsable", "without_stamp", "without_meter", "without_value"}
    assert set(facts.columns) - judged == (for_reading | as_share) & set(facts.columns)


def test_every_judged_table_is_declared() -> None:
    assert {name for names in TABLES_OF.values() for name in names} <= set(TABLES)
