"""A model comes back from MLflow as it went in, and a changed one does not come back at all."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from meterlake.anomaly import registry
from meterlake.anomaly.features import NAMES
from meterlake.anomaly.model import Calibration, TrainedModel, Training
from meterlake.anomaly.registry import ModelMismatch
from meterlake.errors import Unreachable
from meterlake.settings import Settings, load

ROWS = np.random.default_rng(3).normal(size=(2000, len(NAMES))).astype(np.float32)


def trained(seed: int = 1) -> TrainedModel:
    forest = IsolationForest(n_estimators=20, random_state=seed).fit(ROWS)
    raw = -forest.score_samples(ROWS)
    first, last = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    training = Training(len(ROWS), first, last, 0.01, seed, 20, 256, 0.01)
    medians = tuple(np.median(ROWS, axis=0).astype(float).tolist())
    return TrainedModel(forest, Calibration.of(raw, 0.01, 0.6), NAMES, medians, 0.25, training)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's SQLite file before the first model; making one takes seconds, copying it nothing."""
    home = tmp_path_factory.mktemp("mlflow")
    assert registry.champion("london", load(home=home)) is None
    return home / "mlflow" / "mlflow.db"


@pytest.fixture
def registered(settings: Settings, empty_database: Path) -> registry.ModelVersion:
    shutil.copy(empty_database, settings.folder("mlflow"))
    return registry.register(trained(), "london", settings, data_version=7)


def model_file(settings: Settings, name: str) -> Path:
    (found,) = (settings.home / "mlflow").rglob(name)
    return found


def test_no_model_no_champion(settings: Settings, empty_database: Path) -> None:
    shutil.copy(empty_database, settings.folder("mlflow"))
    assert registry.champion("london", settings) is None


@pytest.mark.usefixtures("registered")
def test_a_model_scores_the_same_after_the_registry(settings: Settings) -> None:
    back, model = registry.champion("london", settings), trained()
    assert back is not None
    assert (back.label, back.version) == ("meterlake-london/1", 1)
    assert (back.model.calibration, back.model.training) == (model.calibration, model.training)
    assert (back.model.features, back.model.medians, back.model.typical_kwh) == (NAMES, model.medians, 0.25)
    np.testing.assert_array_equal(back.model.raw_scores(ROWS), model.raw_scores(ROWS))
    assert registry.champion("another_source", settings) is None


@pytest.mark.usefixtures("registered")
def test_the_newest_model_is_the_champion(settings: Settings) -> None:
    again = registry.register(trained(seed=2), "london", settings, data_version=9)
    back = registry.champion("london", settings)
    assert again.version == 2
    assert back is not None
    assert (back.version, back.model.training.seed) == (2, 2)


def test_mlflow_knows_how_it_was_made(settings: Settings, registered: registry.ModelVersion) -> None:
    client = mlflow.MlflowClient(settings.tracking_uri, settings.tracking_uri)
    version = client.get_model_version_by_alias(registered.name, "champion")
    run = client.get_run(version.run_id)
    assert run.data.params["features"] == ",".join(NAMES)
    assert (run.data.params["data_version"], run.data.params["training_rows"]) == ("7", "2000")
    assert run.data.metrics["flagged_share"] == 0.01
    assert {file.path for file in client.list_artifacts(version.run_id)} == {
        "model",
        "training_quantiles.json",
        "features.json",
    }
    signature = mlflow.models.get_model_info(str(model_file(settings, "MLmodel").parent)).signature
    assert signature.inputs.input_names() == list(NAMES)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", ["model.skops", "calibration.json"])
def test_a_changed_file_is_not_loaded(settings: Settings, name: str) -> None:
    file = model_file(settings, name)
    file.write_bytes(file.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(ModelMismatch, match="meterlake-london/1 was not loaded: its files are not those"):
        registry.champion("london", settings)


@pytest.mark.usefixtures("registered")
def test_a_lost_file_is_told(settings: Settings) -> None:
    model_file(settings, "model.skops").unlink()
    with pytest.raises(ModelMismatch, match="train again"):
        registry.champion("london", settings)


@pytest.mark.usefixtures("registered")
def test_another_scikit_learn_does_not_load_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.sklearn, "__version__", "2.0.0")
    with pytest.raises(ModelMismatch, match=r"made by scikit-learn 1\.\d+\.\d+ and this is 2\.0\.0"):
        registry.champion("london", settings)


@pytest.mark.usefixtures("registered")
def test_other_features_do_not_fit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DEFINITION", registry.DEFINITION | {"FLOOR": "0.2"})
    with pytest.raises(ModelMismatch, match="other features"):
        registry.champion("london", settings)


@pytest.mark.usefixtures("registered")
def test_a_model_of_the_first_version_is_told(settings: Settings) -> None:
    """It has no definition of its features."""
    file = model_file(settings, registry.CALIBRATION_FILE)
    described = json.loads(file.read_text())
    del described["definition"]
    file.write_text(json.dumps(described))
    with registry._client(settings) as client:
        client.set_model_version_tag("meterlake-london", "1", "digest", registry._digest(file.parent))
    with pytest.raises(ModelMismatch, match="made with other features than this code has; train again with"):
        registry.champion("london", settings)


def test_a_database_that_is_none_is_one_sentence(settings: Settings) -> None:
    (settings.folder("mlflow") / "mlflow.db").write_text("this is not a database, but long enough to look like a file")
    with pytest.raises(Unreachable, match="cannot be used"):
        registry.champion("london", settings)


def test_a_server_that_is_down_is_one_sentence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = settings.mlflow.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match=r"MLflow at http://127.0.0.1:9 cannot be used \(API request to \S+ failed\)"):
        registry.champion("london", settings.model_copy(update={"mlflow": nobody}))
