"""A model comes back from MLflow as it went in, and a changed one does not come back at all."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import mlflow
import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from meterlake import steps
from meterlake.anomaly import meter_signs, model_file, registry
from meterlake.anomaly.drift import SCORE, Reference, watched
from meterlake.anomaly.features import NAMES
from meterlake.anomaly.labelled import KINDS, LabelledModel, Made, fit
from meterlake.anomaly.meter_day import DayModel, Surprise
from meterlake.anomaly.meter_signs import SIGNS
from meterlake.anomaly.model import Calibration, TrainedModel, Training
from meterlake.anomaly.model_file import ModelMismatch
from meterlake.cli import main
from meterlake.errors import Unreachable
from meterlake.run import Run
from meterlake.settings import Settings, load

ROWS = np.random.default_rng(3).normal(size=(2000, len(NAMES))).astype(np.float32)


def trained(seed: int = 1) -> TrainedModel:
    forest = IsolationForest(n_estimators=20, random_state=seed).fit(ROWS)
    raw = -forest.score_samples(ROWS)
    first, last = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    training = Training(len(ROWS), first, last, 0.01, seed, 20, 256, 0.01)
    medians = tuple(np.median(ROWS, axis=0).astype(float).tolist())
    reference = Reference.of(watched(ROWS, raw), (*NAMES, SCORE))
    low_day = Surprise((0.0, 1.5), (0.05, 4.0), 4.6, 0.5)
    days = DayModel(12.0, {"low_day": low_day}, 20.0, 0.6, 3000, Reference.of(ROWS[:, :2], ("low_day", "surprise")))
    return TrainedModel(forest, Calibration.of(raw, 0.01, 0.6), NAMES, medians, 0.25, training, reference, days)


def taught(kind: str) -> TrainedModel:
    """With what sixty inspections found; nothing is known of the hours."""
    random = np.random.default_rng(4)
    rows, theft = random.normal(size=(60, len(SIGNS))), np.arange(60) < 30
    rows[:30, 3] += 1.5
    rows[:, -1] = np.nan
    made = Made(kind, 60, 30, "2023-05-01", "2024-02-01", 0.8, 0.75, 1)
    medians = (0.0,) * (len(SIGNS) - 1) + (np.nan,)
    return replace(trained(), labelled=LabelledModel(fit(rows, theft, kind, 1), medians, 8.0, made))


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's SQLite file before the first model; making one takes seconds, copying it nothing."""
    home = tmp_path_factory.mktemp("mlflow")
    assert registry.champion("london", load(home=home)) is None
    return home / "mlflow" / "mlflow.db"


@pytest.fixture(scope="module")
def with_a_champion(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Settings:
    """A home with one model, for tests that only look at it: registering takes seconds."""
    settings = load(home=tmp_path_factory.mktemp("champion"))
    shutil.copy(empty_database, settings.folder("mlflow"))
    registry.register(trained(), "london", settings, data_version=7)
    return settings


@pytest.fixture
def registered(settings: Settings, empty_database: Path) -> registry.ModelVersion:
    shutil.copy(empty_database, settings.folder("mlflow"))
    return registry.register(trained(), "london", settings, data_version=7)


def model_file_named(settings: Settings, name: str) -> Path:
    (found,) = (settings.home / "mlflow").rglob(name)
    return found


def test_no_model_no_champion(settings: Settings, empty_database: Path) -> None:
    shutil.copy(empty_database, settings.folder("mlflow"))
    assert registry.champion("london", settings) is None


def test_a_model_scores_the_same_after_the_registry(with_a_champion: Settings) -> None:
    back, model = registry.champion("london", with_a_champion), trained()
    assert back is not None
    assert (back.label, back.version) == ("meterlake-london/1", 1)
    assert (back.model.calibration, back.model.training) == (model.calibration, model.training)
    assert (back.model.reference, back.model.days) == (model.reference, model.days)
    assert (back.model.features, back.model.medians, back.model.typical_kwh) == (NAMES, model.medians, 0.25)
    np.testing.assert_array_equal(back.model.raw_scores(ROWS), model.raw_scores(ROWS))
    assert registry.champion("another_source", with_a_champion) is None


@pytest.mark.usefixtures("registered")
def test_the_newest_model_is_the_champion(settings: Settings) -> None:
    again = registry.register(trained(seed=2), "london", settings, data_version=9)
    back = registry.champion("london", settings)
    assert again.version == 2
    assert back is not None
    assert (back.version, back.model.training.seed) == (2, 2)


def test_mlflow_knows_how_it_was_made(with_a_champion: Settings) -> None:
    client = mlflow.MlflowClient(with_a_champion.tracking_uri, with_a_champion.tracking_uri)
    version = client.get_model_version_by_alias("meterlake-london", "champion")
    run = client.get_run(version.run_id)
    assert run.data.params["features"] == ",".join(NAMES)
    assert (run.data.params["data_version"], run.data.params["training_rows"]) == ("7", "2000")
    assert run.data.metrics["flagged_share"] == 0.01
    assert {file.path for file in client.list_artifacts(version.run_id)} == {
        "model",
        "training_quantiles.json",
        "features.json",
    }
    signature = mlflow.models.get_model_info(str(model_file_named(with_a_champion, "MLmodel").parent)).signature
    assert signature.inputs.input_names() == list(NAMES)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", ["model.skops", "calibration.json"])
def test_a_changed_file_is_not_loaded(settings: Settings, name: str) -> None:
    file = model_file_named(settings, name)
    file.write_bytes(file.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(ModelMismatch, match="meterlake-london/1 was not loaded: its files are not those"):
        registry.champion("london", settings)


@pytest.mark.usefixtures("registered")
def test_a_lost_file_is_told(settings: Settings) -> None:
    model_file_named(settings, model_file.FOREST_FILE).unlink()
    with pytest.raises(ModelMismatch, match="train again"):
        registry.champion("london", settings)


@pytest.mark.parametrize(("tag", "name"), [("scikit_learn", "scikit-learn"), ("numpy", "numpy")])
def test_another_library_does_not_load_it(
    with_a_champion: Settings, monkeypatch: pytest.MonkeyPatch, tag: str, name: str
) -> None:
    library = model_file.LIBRARIES[tag]
    made_by = library.__version__
    minor = made_by.rsplit(".", 1)[0]
    monkeypatch.setattr(library, "__version__", f"{minor}.99")
    assert registry.champion("london", with_a_champion) is not None
    monkeypatch.setattr(library, "__version__", f"{minor}0.0")
    with pytest.raises(ModelMismatch) as told:
        registry.champion("london", with_a_champion)
    assert str(told.value) == (
        f"The model meterlake-london/1 was not loaded: it was made by {name} {made_by} and this is {minor}0.0; train "
        "again with `meterlake train`."
    )


@pytest.mark.parametrize(
    ("what", "other", "told"),
    [
        pytest.param("DEFINITION", model_file.DEFINITION | {"FLOOR": "0.2"}, "FLOOR", id="floor"),
        pytest.param("DEFINITION", model_file.DEFINITION | {"hour_cos": "cos(h)"}, "hour_cos", id="formula"),
        pytest.param("DEFINITION", model_file.DEFINITION | {"a": "t", "b": "u"}, "a, b", id="two_more"),
        pytest.param("NAMES", (*NAMES[1:], NAMES[0]), "the same in another order", id="order"),
    ],
)
def test_other_features_do_not_fit(
    with_a_champion: Settings, monkeypatch: pytest.MonkeyPatch, what: str, other: object, told: str
) -> None:
    monkeypatch.setattr(model_file, what, other)
    with pytest.raises(ModelMismatch, match=rf"made with other features than this code has \({told}\); train again"):
        registry.champion("london", with_a_champion)


def rewritten(settings: Settings, *absent: str) -> None:
    """Version 1 as an earlier meterlake registered it: without these descriptions and without a tag for numpy."""
    file = model_file_named(settings, model_file.CALIBRATION_FILE)
    described = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in described.items() if name not in absent}))
    with registry._client(settings) as client:
        client.set_model_version_tag("meterlake-london", "1", "digest", model_file.digest(file.parent))
        client.delete_model_version_tag("meterlake-london", "1", "numpy")


@pytest.mark.usefixtures("registered")
def test_a_model_of_the_first_version_is_told(settings: Settings) -> None:
    """It has no definition of its features."""
    rewritten(settings, "definition")
    with pytest.raises(
        ModelMismatch, match=r"made with other features than this code has \(FILL, FLOOR, .+\); train again"
    ):
        registry.champion("london", settings)


@pytest.mark.usefixtures("registered")
def test_a_model_without_a_reference_still_scores(settings: Settings) -> None:
    rewritten(settings, "reference")
    back = registry.champion("london", settings)
    assert back is not None
    assert back.model.reference is None
    np.testing.assert_array_equal(back.model.raw_scores(ROWS), trained().raw_scores(ROWS))


def test_a_model_of_days_without_a_reference_still_judges(tmp_path: Path) -> None:
    tags = model_file.save(trained(), tmp_path)
    file = tmp_path / model_file.CALIBRATION_FILE
    described = json.loads(file.read_text())
    del described["days"]["reference"]
    file.write_text(json.dumps(described))
    with pytest.raises(ModelMismatch, match="its files are not those"):
        model_file.load(tmp_path, tags, "london/1")
    back, days = model_file.load(tmp_path, tags | {"digest": model_file.digest(tmp_path)}, "london/1"), trained().days
    assert days is not None
    assert back.days == replace(days, reference=None)


@pytest.mark.parametrize("kind", KINDS)
def test_what_inspections_taught_comes_back(tmp_path: Path, kind: str) -> None:
    model, meters = taught(kind), np.random.default_rng(5).normal(size=(40, len(SIGNS)))
    back = model_file.load(tmp_path / "model", model_file.save(model, tmp_path / "model"), "london/1").labelled
    assert back is not None
    assert model.labelled is not None
    np.testing.assert_array_equal(back.probability(meters), model.labelled.probability(meters))
    assert back.reasons(meters) == model.labelled.reasons(meters)
    assert (back.made, back.typical_kwh) == (model.labelled.made, 8.0)


@pytest.fixture
def with_inspections(settings: Settings, empty_database: Path) -> Settings:
    shutil.copy(empty_database, settings.folder("mlflow"))
    registry.register(taught("gradient boosting"), "london", settings, data_version=7)
    return settings


def test_a_changed_classifier_is_not_loaded(with_inspections: Settings) -> None:
    file = model_file_named(with_inspections, model_file.LABELLED_FILE)
    file.write_bytes(file.read_bytes() + b"0")
    with pytest.raises(ModelMismatch, match="its files are not those"):
        registry.champion("london", with_inspections)
    file.unlink()
    with pytest.raises(ModelMismatch, match="its files are not those"):
        registry.champion("london", with_inspections)


def test_a_model_keeps_what_its_champion_was_taught(
    with_inspections: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = cast(Run, SimpleNamespace(source=SimpleNamespace(name="london"), settings=with_inspections))
    labelled, said = steps._kept(run)
    assert labelled is not None
    assert (labelled.made.thefts, said) == (30, ["It keeps what meterlake-london/1 learnt from inspections."])
    monkeypatch.setattr(meter_signs, "DEFINITION", meter_signs.DEFINITION | {"repeats": "another formula"})
    labelled, (said,) = steps._kept(run)
    assert labelled is None
    assert "made with other features than this code has (repeats); train again" in said


def test_a_ranking_needs_a_champion_that_was_taught(
    with_a_champion: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["anomaly", "rank", "--source", "london", "--home", str(with_a_champion.home)]) == 2
    assert "has learnt from no inspections; train one with `meterlake train --source london --labels" in caplog.text


def roles(settings: Settings) -> dict[str, int]:
    return registry.aliases("london", settings)


@pytest.mark.usefixtures("registered")
def test_a_challenger_scores_nothing_until_it_is_promoted(settings: Settings) -> None:
    registry.register(trained(seed=2), "london", settings, 9, registry.CHALLENGER)
    assert roles(settings) == {"champion": 1, "challenger": 2}
    registry.crown("london", 2, settings)
    assert roles(settings) == {"champion": 2, "former": 1}
    back = registry.champion("london", settings)
    assert back is not None
    assert back.model.training.seed == 2


@pytest.mark.usefixtures("registered")
def test_the_commands_promote_and_go_back(
    settings: Settings, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def model(*arguments: str) -> int:
        return main(["model", *arguments, "--source", "london", "--home", str(settings.home)])

    assert model("rollback") == 2
    assert model("promote", "--force") == 2  # no challenger
    registry.register(trained(seed=2), "london", settings, 9, registry.CHALLENGER)
    assert model("promote") == 2  # the lake is empty
    refused = "meterlake-london/2 was not promoted: the lake holds too few measured readings of source london to judge"
    assert refused in caplog.text
    capsys.readouterr()
    assert model("promote", "--if-no-worse") == 0
    assert capsys.readouterr().out.startswith(refused)
    assert model("promote", "--version", "7", "--force") == 2
    assert roles(settings) == {"champion": 1, "challenger": 2}
    assert model("promote", "--force") == 0
    assert roles(settings) == {"champion": 2, "former": 1}
    assert model("rollback") == 0
    assert roles(settings) == {"champion": 1, "former": 2}
    capsys.readouterr()
    assert model("promote", "--version", "1") == 0
    assert capsys.readouterr().out == "meterlake-london/1 is champion already.\n"
    assert model("list") == 0
    head, newest, oldest = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["version", "is"]
    assert newest.split()[:2] == ["2", "former"]
    assert oldest.split()[:2] == ["1", "champion"]
    assert "2024-01-01 to 2024-03-01  2,000  1.00%" in oldest


@pytest.mark.usefixtures("registered")
def test_what_cannot_be_loaded_is_never_promoted(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    registry.register(trained(seed=2), "london", settings, 9, registry.CHALLENGER)
    newest = max((settings.home / "mlflow").rglob(model_file.FOREST_FILE), key=lambda file: file.stat().st_mtime_ns)
    newest.write_bytes(b"something else")
    for anyhow in ("--force", "--if-no-worse"):
        assert main(["model", "promote", anyhow, "--source", "london", "--home", str(settings.home)]) == 2
    assert "meterlake-london/2 was not loaded: its files are not those that were registered" in caplog.text
    assert roles(settings) == {"champion": 1, "challenger": 2}


@pytest.mark.usefixtures("registered")
def test_a_champion_that_cannot_be_loaded_is_beaten(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    model_file_named(settings, model_file.FOREST_FILE).write_bytes(b"something else")
    registry.register(trained(seed=2), "london", settings, 9, registry.CHALLENGER)
    assert main(["model", "promote", "--source", "london", "--home", str(settings.home)]) == 0
    assert capsys.readouterr().out.startswith("meterlake-london/1 cannot be loaded (its files are not those that were")
    assert roles(settings) == {"champion": 2, "former": 1}


def test_a_first_challenger_has_nobody_to_beat(settings: Settings, empty_database: Path) -> None:
    shutil.copy(empty_database, settings.folder("mlflow"))
    assert main(["model", "list", "--source", "london", "--home", str(settings.home)]) == 2
    registry.register(trained(), "london", settings, 7, registry.CHALLENGER)
    assert registry.champion("london", settings) is None
    assert main(["model", "promote", "--source", "london", "--home", str(settings.home)]) == 0
    assert roles(settings) == {"champion": 1}


def test_a_database_that_is_none_is_one_sentence(settings: Settings) -> None:
    (settings.folder("mlflow") / "mlflow.db").write_text("this is not a database, but long enough to look like a file")
    with pytest.raises(Unreachable, match="cannot be used"):
        registry.champion("london", settings)


def test_a_server_that_is_down_is_one_sentence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = settings.mlflow.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match=r"MLflow at http://127.0.0.1:9 cannot be used \(API request to \S+ failed\)"):
        registry.champion("london", settings.model_copy(update={"mlflow": nobody}))


def test_a_head_start_imports_a_quiet_mlflow() -> None:
    """MLflow asks for its settings once, when it is imported, and a run imports it long before a model is asked for."""
    program = (
        "import logging; from importlib import import_module; from meterlake.headstart import SLOW_IMPORTS\n"
        "for name in SLOW_IMPORTS:\n"
        "    if 'mlflow' in name: import_module(name)\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "print(logging.getLogger('mlflow').getEffectiveLevel(), get_telemetry_client())"
    )
    told = ("MLFLOW_LOGGING_LEVEL", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "PYTEST_CURRENT_TEST")
    environment = {name: value for name, value in os.environ.items() if name not in told}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["30", "None"]
