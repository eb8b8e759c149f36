"""The page holds the lake's numbers, shows hostile text as text, loads nothing, and stands when the lake is empty."""

import json
import math
import re
from base64 import b64decode
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.report.conftest import forecast

HOSTILE = "<script>alert('meter')</script>"

WriteReport = Callable[..., str]


class Page(HTMLParser):
    """What a browser would see: text outside of scripts, scripts by id, addresses to load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.scripts, self.loads, self.tags, self._script = "", {}, [], [], None
        self.feed(html)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "poster") and value]
        self._script = (given.get("id") or f"script {len(self.tags)}") if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None if tag in ("script", "style") else self._script

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text += data + " "
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def chart(self, name: str) -> dict:
        return json.loads(self.scripts[f"json-{name}"])


def energies(packed: dict[str, str]) -> list[float]:
    """Numbers of a chart, as plotly packs them."""
    return np.frombuffer(b64decode(packed["bdata"]), packed["dtype"]).tolist()


def judge_forecast(page: Page) -> None:
    """The newest forecast stands beside the hours before it and those that came since, of the whole and each region."""
    assert "From 2024-02-09 00:00 on, made from what was known then." in page.text
    assert "of the 48 hours that are known by now" in page.text
    assert "Model m/08 ." in page.text
    picture = page.chart("forecast")
    titles = [title["text"] for title in picture["layout"]["annotations"]]
    assert titles == ["all of town", "region north", "region south"]
    drawn = page.chart("consumption")["data"][0]
    load = {at[:19]: kwh for at, kwh in zip(drawn["x"], energies(drawn["y"]), strict=True)}
    whole, north, south = (trace for trace in picture["data"] if trace.get("name") == "metered")
    assert (whole["x"][0], whole["x"][-1], len(whole["x"])) == ("2024-02-02T00:00:00", "2024-02-15T23:00:00", 14 * 24)
    assert np.isfinite(energies(whole["y"])).sum() == 1 + 8 * 24, "of the second day one hour is known"
    for at, *parts in zip(whole["x"], *(energies(trace["y"]) for trace in (whole, north, south)), strict=True):
        assert parts[0] == pytest.approx(load.get(at, math.nan), nan_ok=True)
        assert parts[0] == pytest.approx(parts[1] + parts[2], nan_ok=True)
    median = next(trace for trace in picture["data"] if trace.get("name") == "forecast (median)")
    assert set(energies(median["y"])) == {4.0}


def test_the_page_of_a_full_run(report: WriteReport, store) -> None:
    forecast(store.settings, {HOSTILE: "north", "M2": "south"})
    html = report(meters=[HOSTILE, "M2"], days=10, said=("31 lines were <b>rejected</b>.",))
    page = Page(html)

    # 2 meters x 10 days x 48 half-hours, less 46 lost ones of each meter.
    assert "Readings 868" in page.text
    assert "Completeness 90.4 % 92 missing" in page.text  # of 960
    assert "Period 10 days, 2024-02-01 to 2024-02-10" in page.text
    assert "The ledger balances. 951 lines = 946 loaded + 5 unparsable; 946 loaded = 868 current" in page.text
    assert "negative energy + voltage out of range 5" in page.text
    assert "0001-01-31 23:00" in page.text
    assert "9999-01-31 23:00" in page.text
    assert "1 of 3 expectations failed, 0 of them critical." in page.text
    assert "town-forest v3" in page.text
    # Of the two meters one has nothing but flagged readings.
    assert re.search(r"6\.6 % reading, rule \S+ \d+ rule VEE-04 frozen; 3 <b>times", page.text)
    assert page.text.count("frozen; 3 <b>times") == 1

    # What the charts show is what the tables hold.
    energy = store.spark.read.format("delta").load(f"{store.settings.lake_root}/silver/int_readings_daily")
    total = energy.agg({"consumption_kwh": "sum"}).head()[0]
    drawn = page.chart("consumption")["data"][0]
    assert len(drawn["x"]) == 240  # every hour of ten days, also the lost ones
    assert f"Energy {total:,.0f} kWh" in page.text
    assert set(page.chart("completeness")["data"][0]["x"]) >= {"2024-02-01", "2024-02-10"}
    assert page.chart("steps")["data"][0]["x"] == [9.1, 21.4, 8.8, 3.2, 6.5, 5.0]
    assert {"ledger", "heat", "reasons", "suspects", "consumption_kwh", "voltage_v", "temperature_c"} <= {
        name.removeprefix("json-") for name in page.scripts
    }

    judge_forecast(page)

    # Ids and reasons from input files stay text.
    assert HOSTILE not in html
    assert HOSTILE in page.text  # as a reader sees it
    assert "31 lines were <b>rejected</b>." in page.text
    assert "notes<img src=x>" in page.text
    assert "img" not in page.tags
    assert page.chart("suspects")["layout"]["annotations"][0]["text"].count("<") == 0

    # Nothing is loaded from anywhere, and the browser is told to refuse it.
    assert page.loads == ["data:,"]
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\(", page.scripts[next(iter(page.scripts))])

    assert (store.settings.home / "reports" / "latest.html").read_text(encoding="utf-8") == html

    # The next run finds nothing new: it shows all batches and says so.
    later = Page(report(run_id="20240302T060000Z-cd34"))
    assert "This run found nothing new to load; the picture shows all batches of the source so far." in later.text
    assert "The ledger balances. 951 lines" in later.text
    assert "nothing new in this run" in later.text


def test_a_day_of_one_meter_without_flags_faults_and_weather(report: WriteReport) -> None:
    page = Page(report(meters=["M1"], days=1, flags=False, faults=False, weather=False))
    assert "Completeness 100 % 0 missing" in page.text
    assert "The model flags no reading." in page.text
    assert "No line was rejected." in page.text
    assert "Not delivered by this source: air temperature." in page.text
    assert "All 3 expectations were met." in page.text
    assert "json-temperature_c" not in page.scripts
    assert "json-suspects" not in page.scripts
    assert "There is no forecast that began in the last four weeks" in page.text
    assert "meterlake forecast --source town makes one." in page.text


def test_an_empty_lake(report: WriteReport) -> None:
    page = Page(report())
    for sentence in (
        "No file has been loaded yet.",
        "There are no readings yet.",
        "There is no consumption to show yet.",
        "No reading has been scored yet.",
        "No gate ran",
        "No step has finished.",
    ):
        assert sentence in page.text
    assert not [name for name in page.scripts if name.startswith("json-")]
