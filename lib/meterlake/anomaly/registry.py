"""Models in MLflow: one registered model per source, whose alias `champion` is the one that scores.

MLflow is imported when it is needed: the import and the first use of its SQLite file take seconds.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sklearn

from meterlake.anomaly.features import DEFINITION, INPUTS, NAMES
from meterlake.anomaly.model import Calibration, TrainedModel, Training
from meterlake.errors import Unreachable, UsageError
from meterlake.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

CHAMPION = "champion"
EXPERIMENT = "meterlake"
FOLDER = "model"
FOREST_FILE = "model.skops"
CALIBRATION_FILE = "calibration.json"
# The one type outside of skops' own list that a forest holds: its trees, which are arrays.
TRUSTED = ["sklearn.tree._tree.Tree"]

# MLflow tells nobody, keeps quiet, and gives up on a server within a minute instead of after many.
MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


@dataclass(frozen=True)
class ModelVersion:
    """A model and where it stands in the registry."""

    name: str
    version: int
    model: TrainedModel

    @property
    def label(self) -> str:
        """What scored rows carry: `meterlake-london/3`."""
        return f"{self.name}/{self.version}"


class ModelMismatch(UsageError):
    """The registered model cannot be trusted or does not fit this code."""

    def __init__(self, label: str, problem: str) -> None:
        self.label, self.problem = label, problem
        super().__init__(f"The model {label} was not loaded: {problem}; train again with `meterlake train`.")


def model_name(source: str) -> str:
    return f"meterlake-{source}"


def register(trained: TrainedModel, source: str, settings: Settings, data_version: int) -> ModelVersion:
    """Log the model with all that tells how it was made, register it and make it the champion of its source.

    Args:
        data_version: Delta version of int_consumption_features that it was trained on.

    Raises:
        Unreachable: MLflow does not answer.
    """
    name = model_name(source)
    with tempfile.TemporaryDirectory() as scratch, tracked(settings, name, {"source": source}) as (client, run):
        folder = Path(scratch) / FOLDER
        _save(trained, folder)
        _log(client, run.info.run_id, trained, data_version)
        client.log_artifacts(run.info.run_id, str(folder), FOLDER)
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(
                name, description=f"Isolation forest on int_consumption_features of {source}."
            )
        # The digest stands in the registry's database and not beside the files, which it vouches for.
        tags = {"digest": _digest(folder), "data_version": str(data_version), "scikit_learn": sklearn.__version__}
        where = f"{run.info.artifact_uri}/{FOLDER}"
        version = client.create_model_version(name, where, run.info.run_id, tags=tags)
        client.set_registered_model_alias(name, CHAMPION, version.version)
    return ModelVersion(name, int(version.version), trained)


def champion(source: str, settings: Settings) -> ModelVersion | None:
    """The model that scores the source; None when it has none yet.

    Raises:
        ModelMismatch: its files were changed, or it was made by another scikit-learn or with other features.
        Unreachable: MLflow does not answer.
    """
    name = model_name(source)
    with _client(settings) as client, tempfile.TemporaryDirectory() as scratch:
        if not client.search_registered_models(f"name = '{name}'"):
            return None
        registered = client.get_registered_model(name)
        if CHAMPION not in registered.aliases:
            return None
        version = client.get_model_version(name, registered.aliases[CHAMPION])
        label = f"{name}/{version.version}"
        if version.tags.get("scikit_learn") != sklearn.__version__:
            made_by = version.tags.get("scikit_learn")
            raise ModelMismatch(label, f"it was made by scikit-learn {made_by} and this is {sklearn.__version__}")
        folder = Path(client.download_artifacts(str(version.run_id), FOLDER, scratch))
        if version.tags.get("digest") != _digest(folder):
            raise ModelMismatch(label, "its files are not those that were registered")
        return ModelVersion(name, int(version.version), _load(folder, label))


@contextmanager
def tracked(settings: Settings, name: str, tags: dict[str, str]) -> Iterator[tuple["MlflowClient", "MlflowRun"]]:
    """A new run of the experiment, which ends with the block: finished, or failed where that raises.

    Raises:
        Unreachable: MLflow does not answer.
    """
    with _client(settings) as client:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment else _new_experiment(client, settings)
        run = client.create_run(experiment_id, run_name=name, tags=tags)
        status = "FAILED"
        try:
            yield client, run
            status = "FINISHED"
        finally:
            client.set_terminated(run.info.run_id, status)


def _save(trained: TrainedModel, folder: Path) -> None:
    """An MLflow model folder: the forest without code (skops), its signature, and our calibration beside it."""
    import mlflow.sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = Schema([ColSpec(DataType.float, name) for name in trained.features])
    mlflow.sklearn.save_model(
        trained.forest,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=TRUSTED,
        signature=ModelSignature(inputs, Schema([ColSpec(DataType.double, "raw_score")])),
        pip_requirements=[f"scikit-learn=={sklearn.__version__}", "skops"],
        pyfunc_predict_fn="score_samples",
    )
    training = trained.training
    period = {"first": training.first.isoformat(), "last": training.last.isoformat()}
    described = {
        "definition": DEFINITION,
        "features": trained.features,
        "medians": trained.medians,
        "typical_kwh": trained.typical_kwh,
        "calibration": asdict(trained.calibration),
        "training": asdict(training) | period,
    }
    (folder / CALIBRATION_FILE).write_text(json.dumps(described, indent=1), encoding="utf-8")


def _load(folder: Path, label: str) -> TrainedModel:
    described = json.loads((folder / CALIBRATION_FILE).read_text(encoding="utf-8"))
    if described.get("definition") != DEFINITION:  # absent in the models of the first version
        raise ModelMismatch(label, "it was made with other features than this code has")
    import skops.io

    knots, training = described["calibration"], described["training"]
    period = {name: datetime.fromisoformat(training[name]) for name in ("first", "last")}
    return TrainedModel(
        forest=skops.io.load(folder / FOREST_FILE, trusted=TRUSTED),
        calibration=Calibration(**{**knots, "raw": tuple(knots["raw"]), "score": tuple(knots["score"])}),
        features=tuple(described["features"]),
        medians=tuple(described["medians"]),
        typical_kwh=described["typical_kwh"],
        training=Training(**{**training, **period}),
    )


def _log(client: "MlflowClient", run_id: str, trained: TrainedModel, data_version: int) -> None:
    training, calibration = trained.training, trained.calibration
    parameters: dict[str, Any] = {
        "features": ",".join(trained.features),
        "inputs": ",".join(INPUTS),
        "typical_kwh": trained.typical_kwh,
        "trees": training.trees,
        "subsample": training.subsample,
        "seed": training.seed,
        "contamination": training.contamination,
        "threshold": calibration.threshold,
        "training_rows": training.rows,
        "training_first": training.first.isoformat(),
        "training_last": training.last.isoformat(),
        "data_version": data_version,
        "data_table": "int_consumption_features",
    }
    for name, value in parameters.items():
        client.log_param(run_id, name, value)
    client.log_metric(run_id, "flagged_share", training.flagged_share)
    client.log_metric(run_id, "raw_threshold", calibration.raw[-1])
    client.log_metric(run_id, "tail_scale", calibration.scale)
    quantiles = {
        "raw": calibration.raw,
        "score": calibration.score,
        "medians": dict(zip(NAMES, trained.medians, strict=True)),
    }
    client.log_dict(run_id, quantiles, "training_quantiles.json")
    client.log_dict(run_id, DEFINITION, "features.json")


def _digest(folder: Path) -> str:
    """SHA-256 over the files that loading reads; one that is gone counts as empty."""
    files = (folder / name for name in (FOREST_FILE, CALIBRATION_FILE))
    parts = (sha256(file.read_bytes() if file.exists() else b"").digest() for file in files)
    return sha256(b"".join(parts)).hexdigest()


def _new_experiment(client: "MlflowClient", settings: Settings) -> str:
    """On the laptop artifacts lie in the home folder; a server has its own place for them."""
    here = None if settings.mlflow.tracking_uri else (settings.folder("mlflow") / "artifacts").as_uri()
    return client.create_experiment(EXPERIMENT, artifact_location=here)


@contextmanager
def _client(settings: Settings) -> Iterator["MlflowClient"]:
    """A client of the settings' MLflow, whose failures are one sentence."""
    for name, value in MLFLOW_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    uri = settings.tracking_uri
    if not settings.mlflow.tracking_uri:
        settings.folder("mlflow")
    try:
        yield mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].split(" with exception ")[0]
        raise Unreachable(
            f"MLflow at {uri} cannot be used ({reason}); correct mlflow.tracking_uri or start it."
        ) from error
