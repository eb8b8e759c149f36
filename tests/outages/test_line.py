"""From the runs of a line's meters to rows, whatever is known of their place."""

import pyarrow as pa
import pytest

from meterlake.outages.interruptions import SILENT, ZERO
from meterlake.outages.line import FOUND, told_of_line

# Two meters of a feeder of three read nothing from minute 60 to 120; one of them is silent.
RUNS = {
    "meter_id": ["a", "b"],
    "feeder": ["F1", "F1"],
    "line_region": ["north", "north"],
    "line_meters": [3, 3],
    "first": [0, 0],
    "last": [44640, 44640],
    "begin": [60, 60],
    "end": [120, 120],
    "state": [ZERO, SILENT],
}


@pytest.mark.parametrize(
    ("transformer", "meters"),
    [
        pytest.param([None, None], [None, None], id="a_source_that_names_no_transformers"),
        pytest.param(["T1", None], [2, None], id="one_meter_whose_transformer_is_unknown"),
        pytest.param(["T1", "T2"], [2, 1], id="both_known"),
    ],
)
def test_a_feeder_is_told_with_or_without_its_transformers(
    transformer: list[str | None], meters: list[int | None]
) -> None:
    known = {"transformer": pa.array(transformer, pa.string()), "transformer_meters": pa.array(meters, pa.int64())}
    told = told_of_line(pa.table(RUNS | known), zero_is_dark=True)
    wanted = dict(column.split() for column in FOUND.split(", "))
    spark_types = {"string": pa.string(), "bigint": pa.int64()}
    assert {field.name: field.type for field in told.schema} == {n: spark_types[t] for n, t in wanted.items()}
    (row,) = told.to_pylist()
    assert (row["kind"], row["element"], row["meters"], row["meters_silent"]) == ("feeder", "F1", 3, 1)
    assert row["transformer"] is None
