"""What the pages show of a home whose figures are known, and that data stays text."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from markupsafe import escape
from tests.conftest import settings_for
from tests.ui.conftest import BEGAN, HOSTILE, RUN, SOURCE, fill_lake, let_in, write

from meterlake.errors import Unreachable
from meterlake.settings import Settings
from meterlake.tables.ops import RUNS
from meterlake.tables.reader import Lake, literal

Page = Callable[[str], str]
EVERY = (
    "/",
    "/meters",
    f"/meter?meter={quote(HOSTILE)}",
    f"/meter?meter={quote(HOSTILE)}&days=1",
    f"/meters?search={quote(HOSTILE)}",
    "/anomalies",
    "/suspects",
    "/quarantine",
    f"/quarantine?meter={quote(HOSTILE)}",
    "/quarantine?reason=unparsable",
    "/lineage",
    f"/run?run={RUN}",
)


def words(html: str) -> str:
    """The page as a reader sees it, without its charts."""
    text = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@pytest.mark.parametrize("address", EVERY)
def test_hostile_names_stay_text_and_no_page_tells_of_a_customer(page: Page, address: str) -> None:
    html = page(address)
    assert "<script>alert" not in html
    assert "<b>kWh</b>" not in html
    assert "4711" not in html
    # No script, style or handler stands in a page: the policy would block it.
    assert re.findall(r"<script(?! type=.application/json| src=)|<style| style=| on\w+=", html) == []


def test_the_overview_has_the_head_figures_and_the_last_runs(page: Page) -> None:
    seen = words(page("/"))
    assert "Meters 60 ami" in seen
    assert "Readings 14,400 with a value" in seen
    assert "Energy 7,500 kWh" in seen
    assert "Rejected lines 5 0.50 % of 1,000 lines" in seen
    assert "Flagged readings 2" in seen
    assert "Recoverable 80 kWh in January 2024, 2 meters" in seen
    assert "The ledger balances." in seen
    assert f"{RUN} 2 5 2 1,000 994 1 5 1 of 2 failed" in seen


def test_meters_are_searched_sorted_and_paged(page: Page) -> None:
    first, second = page("/meters"), page("/meters?page=2")
    assert first.count('data-label="Meter"') == 50
    assert "Meters 1 to 50 of 60" in words(first)
    assert "Meters 51 to 60 of 60" in words(second)
    assert "more →" in first
    assert "more →" not in second
    found = page(f"/meters?search={quote(HOSTILE[8:20].upper())}")
    assert found.count('data-label="Meter"') == 1
    assert str(escape(HOSTILE)) in found
    assert "No meter of ami has “nobody” in its name." in words(page("/meters?search=nobody"))
    assert words(page("/meters?order=flagged")).index("m1 north") < words(page("/meters?order=flagged")).index(
        "m2 north"
    )


@pytest.mark.parametrize("meter", ["m1", HOSTILE])
def test_a_meter_shows_its_readings_with_quality_and_its_anomalies_with_reasons(page: Page, meter: str) -> None:
    html = page(f"/meter?source={SOURCE}&meter={quote(meter)}")
    seen = words(html)
    assert "measured 166 estimated 1 missing 1" in seen
    assert "The 3 readings that are estimated, edited, missing or flagged" in seen
    assert "low consumption 0.900 0.500 2.00 0.5 kWh where 2" in seen
    assert "reads a third less than usual" in seen
    assert html.count('type="application/json"') == 2
    day = words(page(f"/meter?meter={quote(meter)}&days=1&day=2024-01-10"))
    assert "All 24 readings of the day" in day
    assert "2024-01-10 02:00 estimated 0.5000" in day
    assert "2024-01-10 03:00 missing –" in day


def test_a_meter_to_inspect_is_told_once_with_its_strangest_day(page: Page) -> None:
    seen = words(page("/anomalies"))
    assert "Days to inspect" in seen
    assert seen.count("0.800 0 12.0 2 read nothing for 24 h in a row") == 2
    assert "Days to inspect" not in words(page("/anomalies?page=2"))


def test_quarantine_lists_every_rejected_line_with_all_its_reasons(page: Page) -> None:
    whole = page("/quarantine")
    assert whole.count('data-label="Reasons"') == 3
    assert "negative energy future timestamp m1" in words(whole)
    assert page("/quarantine?reason=negative_energy").count('data-label="Reasons"') == 2
    assert page("/quarantine?reason=exact_duplicate").count('data-label="Reasons"') == 1
    assert page(f"/quarantine?meter={quote(HOSTILE)}").count('data-label="Reasons"') == 1
    assert "No line like that was rejected." in words(page("/quarantine?file=2"))
    assert "no number: ? 1 &amp; co.csv 7" in words(page("/quarantine?reason=unparsable"))


def test_lineage_leads_from_a_run_to_its_files_and_their_counts(page: Page) -> None:
    assert f"/run?source=ami&amp;run={RUN}" in page("/lineage")
    html = page(f"/run?run={RUN}")
    seen = words(html)
    assert "1,000 lines = 998 loaded + 2 unparsable; 998 loaded = 994 current + 1 exact duplicates" in seen
    assert "0 readings before + 994 current - 0 replaced = 994 after" in seen
    assert "1 1 &amp; co.csv abababababab… 9,000 500 499 1 3" in seen
    assert "stage 2024-02-01 06:00 1,000 994 meter_readings v0 stg_meter_readings v1" in seen
    assert html.count('type="application/json"') == 2


def test_an_address_with_names_that_flask_gives_a_meaning_leads_nowhere_else(page: Page) -> None:
    html = page("/meters?_external=1&_scheme=javascript&_anchor=x&endpoint=run&page=1")
    links = re.findall(r'href="([^"]*)"', html)
    assert [link for link in links if not link.startswith("/") and link != "data:,"] == []


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        pytest.param("/?source=nobody", 400, "Nothing ran for a source called", id="unknown_source"),
        pytest.param("/meter?meter=nobody", 404, "hold no meter", id="unknown_meter"),
        pytest.param("/run?run=nobody", 404, "No run of ami is called", id="unknown_run"),
        pytest.param("/meters?page=0", 400, "is not one of 1 to", id="page_zero"),
        pytest.param("/meters?page=1e9", 400, "is not a whole number", id="page_no_number"),
        pytest.param("/meters?order=drop", 400, "is none of meter, energy", id="unknown_order"),
        pytest.param("/meter?meter=m1&day=yesterday", 400, "is not a date like", id="no_date"),
        pytest.param("/meter?meter=m1&days=9999", 400, "is none of 1, 7, 31", id="too_many_days"),
        pytest.param("/nowhere", 404, "There is no such page", id="no_page"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_sentence(
    browser: FlaskClient, address: str, status: int, sentence: str
) -> None:
    answer = browser.get(address)
    assert answer.status_code == status
    assert sentence in words(answer.text)


def test_a_home_whose_stores_were_never_started_shows_its_lake_and_says_so(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "a home, é")
    step = {"run_id": RUN, "step": "ingest", "source": SOURCE, "seconds": 1.0, "rows_in": 1, "rows_out": 1}
    write(settings, RUNS, [step | {"started_at": BEGAN, "code_version": "0.1.0"}])
    visitor = let_in(settings)
    seen = words(visitor.get("/").text)
    assert "were never started" in seen
    assert RUN in seen
    assert visitor.get("/meters").status_code == 404
    assert "No line was rejected." in words(visitor.get("/quarantine").text)
    assert not (settings.home / "postgres").exists()


@pytest.mark.parametrize("text", [HOSTILE, "'", "\\'", "\\", "''; --", "a\nb", "ø €"])
def test_a_text_in_a_query_of_the_lake_stays_that_text(home: Settings, text: str) -> None:
    lake = Lake.of(home)
    (row,) = lake.rows(
        "SELECT :text AS text, count(*) AS runs_ FROM runs WHERE source = :source", text=text, source="ami"
    )
    assert row == {"text": text, "runs_": 2}
    assert lake.rows("SELECT source FROM runs WHERE source = :source", source=text) == []


@pytest.mark.parametrize(
    ("entry", "statement"),
    [
        pytest.param("{", "SELECT source FROM runs", id="broken_log"),
        pytest.param(None, "SELECT not_declared_then FROM runs", id="column_of_a_later_version"),
    ],
)
def test_a_lake_that_cannot_be_read_is_told_in_a_sentence(tmp_path: Path, entry: str | None, statement: str) -> None:
    settings = settings_for(tmp_path)
    fill_lake(settings)
    if entry is not None:
        (tmp_path / "lake" / "ops" / "runs" / "_delta_log" / "00000000000000000000.json").write_text(entry)
    with pytest.raises(Unreachable, match="cannot be read") as told:
        Lake.of(settings).rows(statement)
    assert "\n" not in str(told.value)


def test_a_number_and_a_day_in_a_query_of_the_lake() -> None:
    assert literal(7) == "7"
    assert literal(date(2024, 1, 31)) == "date '2024-01-31'"
