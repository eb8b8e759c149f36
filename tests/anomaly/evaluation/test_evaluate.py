"""The whole evaluation, on meters of the generator and without Spark."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from meterlake.anomaly.evaluation.detectors import METER_DAY, PRODUCT, PRODUCT_BY_DAY, detectors
from meterlake.anomaly.evaluation.evaluate import OVERALL, Evaluation, Setup, evaluate
from meterlake.anomaly.evaluation.injections import INJECTIONS, draw
from meterlake.anomaly.evaluation.population import (
    Households,
    enough_known,
    households,
    split,
    untouched,
    with_faults,
)
from meterlake.anomaly.evaluation.tables import kinds, verdict
from meterlake.cli import main
from meterlake.errors import UsageError
from meterlake.generated_block import begin
from meterlake.settings import PROJECT, Settings
from meterlake.sources.generate_shapes import block
from meterlake.text_tables import as_markdown
from meterlake.vee.delivered import MeterSeries

DAYS, SLOTS = 150, 24


def generated(meters: int, days: int = DAYS) -> Households:
    """Meters of the generator by the hour, from 1 January 2024, without defects."""
    day = 19723 + np.arange(days)
    series = [
        MeterSeries(
            f"M{meter}",
            block(1, 0.0, np.full(days, meter), day, 60).kwh.reshape(-1).round(4),
            np.repeat(day, SLOTS).astype(np.int32),
            np.tile(np.arange(SLOTS), days).astype(np.int16),
        )
        for meter in range(meters)
    ]
    return households(series, 60)


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return run(generated(8))


def run(of: Households) -> Evaluation:
    from meterlake.settings import load

    conf = load(conf=PROJECT / "conf" / "test.toml").model
    return evaluate(of, conf.model_copy(update={"trees": 20, "training_rows": 5000}), Setup(faults_per_meter=1))


def test_every_detector_at_every_kind(found: Evaluation, settings: Settings) -> None:
    names = [detector.name for detector in detectors(settings.model)]
    expected = [(name, kind) for name in names for kind in (OVERALL, *(one.kind.name for one in INJECTIONS))]
    assert [(row.detector, row.kind) for row in found.rows] == expected
    assert found.meters == (4, 4)
    assert len(found.truth) == 4 * len(INJECTIONS)
    assert all(row.merit.events == 4 for row in found.rows if row.kind != OVERALL)


def test_the_same_seed_gives_the_same_figures(found: Evaluation) -> None:
    assert repr(run(generated(8)).rows) == repr(found.rows)


def test_whole_days_find_what_the_flags_drown(found: Evaluation) -> None:
    pr_auc = {(row.detector, row.kind): row.merit.pr_auc.value for row in found.rows}
    by_day, by_flags = (pr_auc[name, "zero_reads"] + pr_auc[name, "frozen_value"] for name in (METER_DAY, PRODUCT))
    assert by_day > 2 * by_flags
    assert pr_auc[PRODUCT, OVERALL] == pr_auc[PRODUCT_BY_DAY, OVERALL]


def test_training_and_test_share_neither_meters_nor_days() -> None:
    train_meters, train_days, test_meters, test_days = split(generated(8))
    assert not set(train_meters.meters) & set(test_meters.meters)
    assert not set(train_days) & set(test_days)


def test_the_truth_table_says_what_is_missing() -> None:
    of = generated(4)
    kind = next(one.kind for one in INJECTIONS if one.kind.name == "zero_reads")
    events = draw(of.kwh[2], 2, "M2", kind, range(75, DAYS), 1, 1, 60)
    copies = with_faults(of, events)
    days = slice(events[0].first_day, events[0].first_day + events[0].days)
    minutes = np.arange(days.start * 1440, days.stop * 1440, 60)
    held = (minutes >= events[0].start) & (minutes < events[0].end)
    assert copies.missing_kwh[0] == pytest.approx(of.kwh[2, days].reshape(-1)[held].sum())
    assert copies.anomalous.sum() == events[0].days
    assert copies.judged.sum() <= events[0].days + 7


def test_a_day_is_judged_only_with_readings_and_a_past() -> None:
    kwh = np.ones((1, 60, SLOTS))
    kwh[0, 40, :5] = np.nan
    kwh[0, :10] = np.nan
    judged = enough_known(kwh)[0]
    assert np.flatnonzero(judged)[0] == 10 + 14
    assert not judged[40]
    assert judged[41]


def test_too_short() -> None:
    with pytest.raises(UsageError, match="half a year"):
        run(generated(4, days=50))


def test_one_meter_is_split_by_time() -> None:
    _, train_days, meters, test_days = split(generated(1))
    assert meters.meters == ("M0",)
    assert train_days.stop <= test_days.start
    assert untouched(meters, test_days).judged.any()


def test_the_verdict_names_what_is_missed(found: Evaluation) -> None:
    text = verdict(found, METER_DAY)
    assert METER_DAY in text
    better = [
        replace(row, merit=replace(row.merit, precision=replace(row.merit.precision, value=1.0))) for row in found.rows
    ]
    assert "met, 100 % overall; above it for 11 of 11" in verdict(replace(found, rows=better), METER_DAY)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of, folder = generated(4), tmp_path / "delivery"
    folder.mkdir()
    start = np.datetime64("2024-01-01T00:00")
    for name, kwh in zip(of.meters, of.kwh, strict=True):
        lines = [f"{name},{start + 60 * i},{value}" for i, value in enumerate(kwh.reshape(-1))]
        (folder / f"{name}.csv").write_text("m,t,v\n" + "\n".join(lines))
    (tmp_path / "hourly.toml").write_text(
        'name = "hourly"\ndescription = "by the hour"\ninterval_minutes = 60\n'
        '[columns]\nmeter_id = "m"\ntimestamp = "t"\nvalue = "v"\n'
    )
    page = tmp_path / "page.md"
    end = "<!-- end of generated -->"
    blocks = ("kinds", "evaluate", "theft", "theft checks")
    page.write_text("\n".join(f"{begin(f'anomaly {name}')}\n{end}" for name in blocks))
    daily = tmp_path / "daily.csv"
    daily.write_text(
        "1/1/2014,1/2/2014,1/3/2014,FLAG\n" + "".join(f"{n},{n % 7},{n % 5},{n % 2}\n" for n in range(200))
    )
    options = ["--source", str(tmp_path / "hourly.toml"), "--input", str(folder), "--home", str(tmp_path / "home")]
    more = ["--theft", str(daily), "--truth", str(tmp_path / "truth.csv"), "--page", str(page)]
    assert main(["anomaly", "evaluate", *options, *more, "--faults-per-meter", "1"]) == 0
    assert METER_DAY in capsys.readouterr().out
    assert "bypass_night" in page.read_text()
    assert "ROC-AUC" in page.read_text()
    truth = (tmp_path / "truth.csv").read_text().splitlines()
    assert truth[0] == "meter,type,first,last,missing_kwh"
    assert len(truth) == 1 + 2 * len(INJECTIONS)
    assert main(["anomaly", "evaluate", "--home", str(tmp_path / "home")]) == 2


def test_the_page_has_the_kinds_of_today() -> None:
    assert as_markdown(kinds()) in (PROJECT / "docs" / "anomalies.md").read_text()
