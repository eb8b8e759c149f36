"""Champion against challenger, on meters of the generator: who is less precise is not promoted by itself."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.anomaly.evaluation.test_evaluate import generated
from tests.anomaly.evaluation.test_in_lake import fill

from meterlake.anomaly import registry
from meterlake.anomaly.evaluation.contest import Contest, contest
from meterlake.anomaly.evaluation.detectors import readings_of
from meterlake.anomaly.evaluation.population import Households, split, untouched
from meterlake.anomaly.model import TrainedModel
from meterlake.anomaly.registry import CHALLENGER, ModelVersion
from meterlake.anomaly.train import fit
from meterlake.cli import main
from meterlake.errors import UsageError
from meterlake.resampled import Figure
from meterlake.settings import PROJECT, Settings, load
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY

CONF = load(conf=PROJECT / "conf" / "test.toml").model.model_copy(update={"trees": 10, "training_rows": 2000})
HOURLY_TOML = """
name = "hourly"
description = "by the hour"
interval_minutes = 60
[columns]
meter_id = "m"
timestamp = "t"
value = "v"
"""
NOTHING = Figure(np.nan, np.nan, np.nan)


def figure(value: float) -> Figure:
    return Figure(value, value, value)


@pytest.fixture(scope="module")
def households() -> Households:
    return generated(4)


@pytest.fixture(scope="module")
def model(households: Households) -> TrainedModel:
    meters, days, _, _ = split(households)
    columns, _ = readings_of(untouched(meters, days))
    now = datetime(2024, 1, 1, tzinfo=UTC)
    return fit(columns, now, now, CONF)


def silent(model: TrainedModel) -> TrainedModel:
    """The same forest, which flags nothing."""
    return replace(model, calibration=replace(model.calibration, threshold=1.0))


@pytest.mark.parametrize(
    ("champion", "challenger", "lost"),
    [
        pytest.param(figure(0.5), figure(0.5), False, id="equal"),
        pytest.param(figure(0.5), figure(0.6), False, id="better"),
        pytest.param(figure(0.5), figure(0.49), True, id="worse"),
        pytest.param(figure(0.5), NOTHING, True, id="flags_nothing"),
        pytest.param(NOTHING, figure(0.01), False, id="the_champion_flags_nothing"),
        pytest.param(NOTHING, NOTHING, False, id="nobody_flags"),
    ],
)
def test_who_has_lost(champion: Figure, challenger: Figure, lost: bool) -> None:
    assert Contest("a/1", "a/2", champion, challenger).lost is lost


def test_a_model_is_as_good_as_itself_and_better_than_silence(households: Households, model: TrainedModel) -> None:
    one, same, none = (ModelVersion("m", n, of) for n, of in enumerate([model, model, silent(model)], start=1))
    even = contest(one, same, households, CONF)
    assert even.of_champion == even.of_challenger
    assert 0.01 < even.of_champion.value < 1
    result = contest(one, none, households, CONF)
    assert result.lost
    assert result.told.startswith("at the same faults the precision of m/3 is nothing flagged and that of m/1 ")


def test_the_command_refuses_who_is_less_precise(
    settings: Settings, tmp_path: Path, households: Households, model: TrainedModel, caplog: pytest.LogCaptureFixture
) -> None:
    source, folder = tmp_path / "hourly.toml", tmp_path / "delivery"
    source.write_text(HOURLY_TOML)
    folder.mkdir()
    start = np.datetime64("2024-01-01T00:00")
    for name, kwh in zip(households.meters, households.kwh, strict=True):
        lines = [f"{name},{start + 60 * i},{value}" for i, value in enumerate(kwh.reshape(-1))]
        (folder / f"{name}.csv").write_text("m,t,v\n" + "\n".join(lines))
    registry.register(model, "hourly", settings, 1)
    registry.register(silent(model), "hourly", settings, 2, CHALLENGER)
    options = ["--source", str(source), "--input", str(folder), "--home", str(settings.home)]
    assert main(["model", "promote", *options]) == 2
    assert "meterlake-hourly/2 was not promoted: at the same faults the precision of meterlake-hourly/2" in caplog.text
    assert registry.aliases("hourly", settings) == {"champion": 1, "challenger": 2}


@pytest.fixture
def on_the_lake(settings: Settings, households: Households, model: TrainedModel) -> list[str]:
    """A home with a champion and the readings it was trained on; the options that name it and its source."""
    fill(settings, households)
    registry.register(model, "hourly", settings, 1)
    folder = settings.home / "sources"
    folder.mkdir()
    (folder / "hourly.toml").write_text(HOURLY_TOML)
    return ["--source", "hourly", "--home", str(settings.home)]


def test_without_files_the_lake_is_what_they_are_judged_on(
    settings: Settings,
    on_the_lake: list[str],
    model: TrainedModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By a schedule a challenger that loses leaves the champion, too, but is no failure."""
    assert main(["model", "promote", "--if-no-worse", *on_the_lake]) == 0
    assert capsys.readouterr().out == "Source hourly has no challenger; nothing is promoted.\n"
    registry.register(silent(model), "hourly", settings, 2, CHALLENGER)
    assert main(["model", "promote", "--if-no-worse", *on_the_lake]) == 0
    refused = "meterlake-hourly/2 was not promoted: at the same faults the precision of meterlake-hourly/2 is nothing"
    assert capsys.readouterr().out.startswith(refused)
    assert registry.aliases("hourly", settings) == {"champion": 1, "challenger": 2}
    registry.register(model, "hourly", settings, 3, CHALLENGER)
    assert main(["model", "promote", "--if-no-worse", *on_the_lake]) == 0
    assert registry.aliases("hourly", settings) == {"champion": 3, "former": 1}


def test_a_lake_that_cannot_be_read_is_a_failure_by_a_schedule_too(
    settings: Settings, on_the_lake: list[str], model: TrainedModel
) -> None:
    registry.register(model, "hourly", settings, 2, CHALLENGER)
    log = Path(INT_READINGS_MONTHLY.folder(settings.lake_root)) / "_delta_log" / f"{0:020}.json"
    log.write_text("this is no commit")
    assert main(["model", "promote", "--if-no-worse", *on_the_lake]) == 3
    assert registry.aliases("hourly", settings) == {"champion": 1, "challenger": 2}


def test_too_short(model: TrainedModel) -> None:
    one = ModelVersion("m", 1, model)
    with pytest.raises(UsageError, match="half a year"):
        contest(one, one, generated(2, days=50), CONF)
