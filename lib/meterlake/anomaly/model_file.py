"""A model as files: written once, and read only where they are what was registered and fit this code."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from meterlake.anomaly import labelled, meter_signs
from meterlake.anomaly.drift import Reference
from meterlake.anomaly.features import DEFINITION, NAMES
from meterlake.anomaly.labelled import LabelledModel
from meterlake.anomaly.meter_day import DayModel, Surprise
from meterlake.anomaly.model import Calibration, TrainedModel, Training
from meterlake.errors import UsageError

FOREST_FILE = "model.skops"
CALIBRATION_FILE = "calibration.json"
LABELLED_FILE = "labelled.skops"
# The one type outside of skops' own list that a forest holds: its trees, which are arrays.
TRUSTED = ["sklearn.tree._tree.Tree"]
# Those of a classifier of meters: trees again, and the type of a column.
TRUSTED_LABELLED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "numpy.dtype"]
# A tag of a registered model -> the library whose version it is.
LIBRARIES = {"scikit_learn": sklearn, "numpy": np}


class ModelMismatch(UsageError):
    """The registered model cannot be trusted or does not fit this code."""

    def __init__(self, label: str, problem: str) -> None:
        self.label, self.problem = label, problem
        super().__init__(f"The model {label} was not loaded: {problem}; train again with `meterlake train`.")


def save(trained: TrainedModel, folder: Path) -> dict[str, str]:
    """Write an MLflow model folder: the forest without code (skops), its signature, and our calibration beside it.

    Returns:
        What `load` must find again, as tags: the files' digest and the libraries' versions. They are kept in the
        registry's database and not beside the files, for which they vouch.
    """
    import mlflow.sklearn
    import skops.io
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
        "reference": asdict(trained.reference) if trained.reference else None,
        "days": asdict(trained.days) if trained.days else None,
        "labelled": labelled.described(trained.labelled) if trained.labelled else None,
    }
    if trained.labelled:
        skops.io.dump(trained.labelled.estimator, folder / LABELLED_FILE)
    (folder / CALIBRATION_FILE).write_text(json.dumps(described, indent=1), encoding="utf-8")
    return {"digest": digest(folder)} | {tag: library.__version__ for tag, library in LIBRARIES.items()}


def load(folder: Path, tags: Mapping[str, str], label: str) -> TrainedModel:
    """The model of a folder that `save` wrote.

    Args:
        tags: what `save` returned. A version that was not recorded (numpy's, in models of earlier versions of
            meterlake) is not compared.

    Raises:
        ModelMismatch: the files are others, or they were made by another scikit-learn or numpy (major.minor), or with
            other features than this code has.
    """
    for tag, library in LIBRARIES.items():
        made_by = tags.get(tag, library.__version__)
        if _minor(made_by) != _minor(library.__version__):
            name = tag.replace("_", "-")
            raise ModelMismatch(label, f"it was made by {name} {made_by} and this is {library.__version__}")
    if tags.get("digest") != digest(folder):
        raise ModelMismatch(label, "its files are not those that were registered")
    described = json.loads((folder / CALIBRATION_FILE).read_text(encoding="utf-8"))
    if others := _other_features(described):
        raise ModelMismatch(label, f"it was made with other features than this code has ({others})")
    import skops.io

    knots, training, reference = described["calibration"], described["training"], described.get("reference")
    period = {name: datetime.fromisoformat(training[name]) for name in ("first", "last")}
    return TrainedModel(
        forest=skops.io.load(folder / FOREST_FILE, trusted=TRUSTED),
        calibration=Calibration(**{**knots, "raw": tuple(knots["raw"]), "score": tuple(knots["score"])}),
        features=tuple(described["features"]),
        medians=tuple(described["medians"]),
        typical_kwh=described["typical_kwh"],
        training=Training(**{**training, **period}),
        reference=_reference(reference) if reference else None,
        days=_days(described["days"]) if described.get("days") else None,
        labelled=_labelled(folder, described["labelled"]) if described.get("labelled") else None,
    )


def digest(folder: Path) -> str:
    """SHA-256 over the files that loading reads; one that is gone counts as empty. The labelled part counts only where
    it is, so the digests of earlier versions hold.
    """
    files = [folder / name for name in (FOREST_FILE, CALIBRATION_FILE)]
    files += [file for file in [folder / LABELLED_FILE] if file.exists()]
    parts = (sha256(file.read_bytes() if file.exists() else b"").digest() for file in files)
    return sha256(b"".join(parts)).hexdigest()


def _other_features(described: Mapping[str, Any]) -> str:
    """Which features were made differently, in words; empty when they are those of this code, in its order."""
    made = described.get("definition", {})  # absent in the models of the first version
    if others := _differing(DEFINITION, made):
        return others
    if tuple(described["features"]) != NAMES:
        return "the same in another order"
    signs = (described.get("labelled") or {}).get("definition", meter_signs.DEFINITION)
    return _differing(meter_signs.DEFINITION, signs) or (
        "" if [*signs] == [*meter_signs.DEFINITION] else "signs in another order"
    )


def _differing(ours: Mapping[str, str], made: Mapping[str, str]) -> str:
    return ", ".join(sorted(name for name in ours.keys() | made.keys() if ours.get(name) != made.get(name)))


def _labelled(folder: Path, described: Mapping[str, Any]) -> LabelledModel:
    import skops.io

    return labelled.restored(skops.io.load(folder / LABELLED_FILE, trusted=TRUSTED_LABELLED), described)


def _reference(described: Mapping[str, list[list[float]]]) -> Reference:
    edges, shares = (tuple(map(tuple, described[name])) for name in ("edges", "shares"))
    return Reference(tuple(map(str, described["names"])), edges, shares)


def _days(described: Mapping[str, Any]) -> DayModel:
    surprises = {
        name: Surprise(**{**one, "values": tuple(one["values"]), "surprise": tuple(one["surprise"])})
        for name, one in described["surprises"].items()
    }
    reference = described.get("reference")  # absent in the models of the first versions
    return DayModel(**{**described, "surprises": surprises, "reference": _reference(reference) if reference else None})


def _minor(version: str) -> list[str]:
    """A version without its third number: what mends a library leaves its models alone."""
    return version.split(".")[:2]
