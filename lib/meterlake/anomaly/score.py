"""Judge readings with a model: one pass, no shuffle, no join back."""

from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import DataFrame

from meterlake.anomaly.classify import anomaly_types, expected_kwh, reasons
from meterlake.anomaly.counted import Counted, leave
from meterlake.anomaly.drift import Ints, watched
from meterlake.anomaly.features import INPUTS, matrix, metered, metered_in
from meterlake.anomaly.model import TrainedModel
from meterlake.tables.arrow_pass import ArrowPass, Rows
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.coded import same
from meterlake.tables.file_scan import FileScan
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES

Floats = NDArray[np.float64]

# What goes to the mart as it stands in int_consumption_features.
KEPT = ("reading_id", "source", "meter_id", "reading_timestamp", "reading_date_local", "active_power_kw")
ROUNDED, STAMP = pa.decimal128(18, 4), pa.timestamp("us", "UTC")


def score(
    features: DataFrame | FileScan,
    model: TrainedModel,
    model_version: str,
    scored_at: datetime,
    counted: Counted | None = None,
) -> ArrowPass:
    """Rows of mart_anomaly_scores for the rows of int_consumption_features, or of its files, whose energy was metered.

    An estimate is no observation: it gets no score, so it raises no alert by itself.

    Args:
        model_version: what the rows carry as their model, for instance `meterlake-london/3`.
        scored_at: when, with its time zone.
        counted: takes the readings in each bin of the model's reference, as the rows are made.
    """
    # A Python worker unpickles the broadcast model once and keeps it.
    spark = features.spark if isinstance(features, FileScan) else features.sparkSession
    broadcast = spark.sparkContext.broadcast(model)
    constants = {"model_version": pa.scalar(model_version), "scored_at": pa.scalar(scored_at, STAMP)}
    counted = counted if model.reference else None
    work = partial(_scores, broadcast=broadcast, constants=constants, counted=counted)
    if isinstance(features, FileScan):
        return ArrowPass(MART_ANOMALY_SCORES, Rows.of(metered_in(features), (*KEPT, *INPUTS)), work)
    return ArrowPass(MART_ANOMALY_SCORES, Rows(metered(features).select(*KEPT, *INPUTS)), work)


def _scores(
    batches: Batches,
    broadcast: Broadcast[TrainedModel],
    constants: dict[str, pa.Scalar],
    counted: Counted | None,
) -> Batches:
    """The pass over one partition."""
    names, model = MART_ANOMALY_SCORES.names, broadcast.value
    counts = model.reference.nothing if counted and model.reference else None
    for batch in batches:
        columns = {name: batch.column(name) for name in KEPT} | judged(batch, model, counts)
        columns |= {name: same(value, batch.num_rows) for name, value in constants.items()}
        yield pa.RecordBatch.from_arrays([columns[name] for name in names], names)
    leave(counted, counts)


def judged(batch: pa.RecordBatch, model: TrainedModel, counts: Ints | None = None) -> dict[str, pa.Array]:
    """What the model says of a block of readings (the INPUTS as columns, null where unknown), and why.

    Args:
        counts: to which the readings in each bin of the model's reference are added.
    """
    columns = {name: batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in INPUTS}
    inputs = matrix(columns, model.typical_kwh)
    raw = model.raw_scores(inputs)
    if counts is not None and model.reference:
        counts += model.reference.counts(watched(inputs, raw))
    scores = model.calibration(raw)
    flagged = scores > model.calibration.threshold
    expected = expected_kwh(columns)
    strange = {name: values[flagged] for name, values in columns.items()}
    return {
        "consumption_kwh": _rounded(columns["consumption_kwh"]),
        "expected_kwh": _rounded(expected),
        "anomaly_score": pa.array(scores),
        "raw_score": pa.array(raw),
        "is_anomaly": pa.array(flagged),
        "anomaly_type": _spread(anomaly_types(strange, expected[flagged]), flagged),
        "reasons": _spread(reasons(strange, inputs[flagged], raw[flagged], model), flagged),
    }


def _rounded(kwh: Floats) -> pa.Array:
    """With the four decimals that are published, halves away from 0; null where NaN."""
    return pc.round(pa.array(kwh, from_pandas=True), 4, round_mode="half_towards_infinity").cast(ROUNDED)


def _spread(texts: list[str], flagged: NDArray[np.bool_]) -> pa.Array:
    """The texts at the flagged rows, null elsewhere."""
    column = np.full(len(flagged), None, dtype=object)
    column[flagged] = texts
    return pa.array(column, pa.string())
