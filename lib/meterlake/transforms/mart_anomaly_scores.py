"""mart_anomaly_scores: every known reading with its score, and why where it is flagged."""

from datetime import datetime

from pyspark.sql import DataFrame

from meterlake.anomaly.model import TrainedModel
from meterlake.anomaly.score import Counted, score
from meterlake.tables.arrow_pass import ArrowPass


def build(
    features: DataFrame,
    model: TrainedModel,
    model_version: str,
    scored_at: datetime,
    counted: Counted | None = None,
) -> ArrowPass:
    """Scores of the rows of int_consumption_features whose energy is known, by the given model (see anomaly.score)."""
    return score(features, model, model_version, scored_at, counted)
