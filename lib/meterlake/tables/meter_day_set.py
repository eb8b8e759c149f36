"""A set of meter-days that rows are looked up in."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


@dataclass(frozen=True)
class MeterDaySet:
    """Some meter-days.

    Attributes:
        meters: their meters, each once.
        keys: number of the meter << 32 | days since 1970, ascending.
        day: the column that is the day of the rows to look up.
    """

    meters: pa.Array
    keys: NDArray[np.int64]
    day: str

    @classmethod
    def of(cls, pairs: pa.Table, day: str) -> "MeterDaySet":
        """Of rows with `meter_id` and `day`."""
        coded = pairs.column("meter_id").combine_chunks().dictionary_encode()
        return cls(coded.dictionary, np.unique(_keys(coded.indices, pairs.column("day").combine_chunks())), day)

    def among(self, rows: pa.RecordBatch) -> pa.BooleanArray:
        """Which rows are of one of them. Their meters may be coded."""
        meter = rows.column("meter_id")
        coded = meter if pa.types.is_dictionary(meter.type) else meter.dictionary_encode()
        number = pc.index_in(coded.dictionary, self.meters).take(coded.indices)
        return pa.array(np.isin(_keys(number, rows.column(self.day)), self.keys))


def _keys(meter: pa.Array, day: pa.Array) -> NDArray[np.int64]:
    number = pc.fill_null(meter, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return (number << 32) | day.cast(pa.int32()).to_numpy(zero_copy_only=False)
