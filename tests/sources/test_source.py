"""A source is one TOML file, and a mistake in it is one sentence."""

from pathlib import Path

import pytest

from meterlake.errors import UsageError
from meterlake.settings import Settings
from meterlake.sources.catalog import read_source, source_named, sources

GOOD = """
name = "village"
description = "a village"
interval_minutes = 15
[columns]
meter_id = "meter"
timestamp = "at"
value = "kwh"
"""


def with_tariff(weekday: str, more: str = "") -> str:
    return GOOD + f"[tariff.weekday]\n{weekday}\n[tariff.weekend]\noff = [[0, 24]]\n{more}"


def declared(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "village.toml"
    file.write_text(text)
    return file


def test_built_in_and_configured_sources_are_listed(settings: Settings) -> None:
    assert {"smart_meter", "household_power", "ami", "london"} <= set(sources(settings))


def test_a_nem12_source_needs_no_columns(tmp_path: Path) -> None:
    text = GOOD.partition("[columns]")[0] + '[format]\nlayout = "nem12"'
    assert read_source(declared(tmp_path, text)).varies


def test_a_file_in_the_home_adds_a_source(settings: Settings) -> None:
    (settings.folder("sources") / "village.toml").write_text(GOOD)
    assert source_named("village", settings).interval_minutes == 15


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(GOOD.replace("kwh", "at"), "the header 'at' is declared for two columns", id="same_header_twice"),
        pytest.param(GOOD.replace('value = "kwh"', ""), "columns.value: Field required", id="value_missing"),
        pytest.param(GOOD.replace("15", "7"), "7 minutes do not divide a day", id="cadence_not_in_a_day"),
        pytest.param(GOOD + "velocity = 1", "columns.velocity: unknown name", id="unknown_column"),
        pytest.param('time_zone = "Mars/Base"' + GOOD, "'Mars/Base' is neither an IANA time zone", id="unknown_zone"),
        pytest.param('country = "England"' + GOOD, "country: String should match", id="country_without_a_code"),
        pytest.param(GOOD + '[units]\nvalue = "MWh"', "units.value: Input should be 'kWh', 'Wh'", id="unknown_unit"),
        pytest.param(GOOD + "[limits]\nvoltage_v = [9, 1]", "lower bound 9 is above", id="limits_reversed"),
        pytest.param(GOOD + '[format]\ndecimal = ","', "decimal mark and the separator", id="decimal_is_separator"),
        pytest.param(
            'time_zone = "Europe/Paris"' + GOOD + "[format]\ntimestamp = [\"yyyy-MM-dd'T'HH:mmXXX\"]",
            '(Europe/Paris) does not keep: declare time_zone = "UTC" or a fixed offset',
            id="offset_and_summer_time",
        ),
        pytest.param(GOOD.replace('"village"', '"../x"'), "name: String should match", id="name_with_a_path"),
        pytest.param("name = ", "is not valid TOML", id="not_toml"),
        pytest.param(
            with_tariff("peak = [[17, 21]]\noff = [[0, 18], [21, 24]]"),
            "tariff.weekday: the hour from 17:00 is declared as peak and as off",
            id="bands_overlap",
        ),
        pytest.param(
            with_tariff("peak = [[17, 21]]\noff = [[0, 17], [23, 24]]"),
            "tariff.weekday: no band is declared for the hours from 21:00, 22:00",
            id="hours_without_a_band",
        ),
        pytest.param(
            with_tariff("off = [[22, 7], [7, 22]]"), "off from 22 to 7 ends before it begins", id="hours_over_midnight"
        ),
        pytest.param(with_tariff("off = [[0, 25]]"), "less than or equal to 24", id="an_hour_that_no_day_has"),
        pytest.param(with_tariff("all = [[0, 24]]"), "'all' is the name of all bands together", id="band_named_all"),
        pytest.param(with_tariff("Peak = [[0, 24]]"), "String should match pattern", id="band_in_capitals"),
        pytest.param(
            with_tariff("off = [[0, 24]]", "[tariff.holiday]\noff = [[0, 24]]"),
            "tariff.holiday needs a country",
            id="holidays_of_no_country",
        ),
        pytest.param(
            with_tariff("off = [[0, 24]]").replace("15", "1440"),
            "readings of 1440 minutes do not tell apart",
            id="bands_of_daily_readings",
        ),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = declared(tmp_path, text)
    with pytest.raises(UsageError) as raised:
        read_source(file)
    assert sentence in str(raised.value)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_unknown_source_names_the_known_ones(settings: Settings) -> None:
    with pytest.raises(UsageError, match="choose one of ami, grid_supply, household_power, london, nem12, smart_meter"):
        source_named("gas", settings)
