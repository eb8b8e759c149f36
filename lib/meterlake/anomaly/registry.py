"""Models in MLflow: one registered model per source, of whose versions the one with the alias `champion` scores.

MLflow is imported when it is needed: the import and the first use of its SQLite file take seconds.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meterlake.anomaly.features import DEFINITION, INPUTS, NAMES
from meterlake.anomaly.model import TrainedModel
from meterlake.anomaly.model_file import load, save
from meterlake.errors import NothingYet, Unreachable
from meterlake.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

# Who scores, who would, and who did before.
CHAMPION, CHALLENGER, FORMER = "champion", "challenger", "former"
EXPERIMENT = "meterlake"
FOLDER = "model"


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


@dataclass(frozen=True)
class Version:
    """A line of a source's register of models.

    Attributes:
        aliases: what it is called: champion, challenger, former (who was champion before).
        parameters: what MLflow knows of how it was made, as texts; `flagged_share` among them.
    """

    number: int
    aliases: tuple[str, ...]
    registered_at: datetime
    parameters: dict[str, str]


class NoSuchModel(NothingYet):
    """The source has no model of that description."""

    def __init__(self, source: str, what: str) -> None:
        self.source, self.what = source, what
        super().__init__(
            f"Source {source} has no {what}; see `meterlake model list --source {source}`, or train one with "
            f"`meterlake train --source {source}`."
        )


def model_name(source: str) -> str:
    return f"meterlake-{source}"


def register(
    trained: TrainedModel, source: str, settings: Settings, data_version: int, alias: str = CHAMPION
) -> ModelVersion:
    """Log the model with all that tells how it was made, and register it as the champion of its source.

    Args:
        data_version: Delta version of int_consumption_features that it was trained on.
        alias: CHALLENGER leaves the champion where it is.

    Raises:
        Unreachable: MLflow does not answer.
    """
    name = model_name(source)
    with tempfile.TemporaryDirectory() as scratch, tracked(settings, name, {"source": source}) as (client, run):
        folder = Path(scratch) / FOLDER
        tags = save(trained, folder)
        _log(client, run.info.run_id, trained, data_version)
        client.log_artifacts(run.info.run_id, str(folder), FOLDER)
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(
                name, description=f"Isolation forest on int_consumption_features of {source}."
            )
        where = f"{run.info.artifact_uri}/{FOLDER}"
        version = client.create_model_version(
            name, where, run.info.run_id, tags=tags | {"data_version": str(data_version)}
        )
        if alias == CHAMPION:
            _crown(client, name, int(version.version))
        else:
            client.set_registered_model_alias(name, alias, version.version)
    return ModelVersion(name, int(version.version), trained)


def champion(source: str, settings: Settings) -> ModelVersion | None:
    """The model that scores the source; None when it has none yet.

    Raises:
        ModelMismatch: its files were changed, or it does not fit this code (see model_file.load).
        Unreachable: MLflow does not answer.
    """
    number = aliases(source, settings).get(CHAMPION)
    return None if number is None else loaded(source, number, settings)


def loaded(source: str, number: int, settings: Settings) -> ModelVersion:
    """A version of the source's model that is known to be registered; raises as `champion` does."""
    name = model_name(source)
    with _client(settings) as client, tempfile.TemporaryDirectory() as scratch:
        version = client.get_model_version(name, str(number))
        folder = Path(client.download_artifacts(str(version.run_id), FOLDER, scratch))
        return ModelVersion(name, number, load(folder, version.tags, f"{name}/{number}"))


def aliases(source: str, settings: Settings) -> dict[str, int]:
    """The versions that have a name; empty when the source has no model."""
    with _client(settings) as client:
        return _aliases(client, model_name(source))


def versions(source: str, settings: Settings) -> list[Version]:
    """Every registered version of the source's model, newest first."""
    name = model_name(source)
    with _client(settings) as client:
        names = _aliases(client, name)
        return [
            Version(
                int(found.version),
                tuple(alias for alias, number in names.items() if number == int(found.version)),
                datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
                {name: str(value) for name, value in (logged.params | logged.metrics).items()},
            )
            for found in sorted(client.search_model_versions(f"name = '{name}'"), key=lambda found: -int(found.version))
            for logged in [client.get_run(str(found.run_id)).data]
        ]


def crown(source: str, number: int, settings: Settings) -> None:
    """Make a registered version the champion, and the one that was it the former."""
    with _client(settings) as client:
        _crown(client, model_name(source), number)


def _crown(client: "MlflowClient", name: str, number: int) -> None:
    """The former first: killed in between, the champion is still the one that it was."""
    names = _aliases(client, name)
    before = names.get(CHAMPION)
    if before not in (None, number):
        client.set_registered_model_alias(name, FORMER, str(before))
    client.set_registered_model_alias(name, CHAMPION, str(number))
    if names.get(CHALLENGER) == number:
        client.delete_registered_model_alias(name, CHALLENGER)


def _aliases(client: "MlflowClient", name: str) -> dict[str, int]:
    if not client.search_registered_models(f"name = '{name}'"):
        return {}
    return {alias: int(number) for alias, number in client.get_registered_model(name).aliases.items()}


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
        "meter_days": trained.days.days if trained.days else 0,
        "inspections": trained.labelled.made.inspections if trained.labelled else 0,
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


def _new_experiment(client: "MlflowClient", settings: Settings) -> str:
    """On the laptop artifacts lie in the home folder; a server has its own place for them."""
    here = None if settings.mlflow.tracking_uri else (settings.folder("mlflow") / "artifacts").as_uri()
    return client.create_experiment(EXPERIMENT, artifact_location=here)


@contextmanager
def _client(settings: Settings) -> Iterator["MlflowClient"]:
    """A client of the settings' MLflow, whose failures are one sentence."""
    from sqlalchemy.exc import SQLAlchemyError

    from meterlake.anomaly.quiet_mlflow import mlflow

    uri = settings.tracking_uri
    if not settings.mlflow.tracking_uri:
        settings.folder("mlflow")
    try:
        yield mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].split(" with exception ")[0]
        raise Unreachable(
            f"MLflow at {uri} cannot be used ({reason}); correct mlflow.tracking_uri or start it."
        ) from error
