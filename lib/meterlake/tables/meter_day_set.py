"""A set of meter-days that rows are looked up in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


@dataclass(frozen=True)
class MeterDaySet:
    """Some meter-days.

    Attributes:
        meters: their meters, each once; not those of whole days.
        keys: number of the meter << 32 | days since 1970, ascending.
        day: the column that is the day of the rows to look up.
        whole: days of which all meters are among them.
    """

    meters: pa.Array
    keys: NDArray[np.int64]
    day: str
    whole: pa.Array

    @classmethod
    def of(cls, pairs: pa.Table, day: str, whole: Iterable[date] = ()) -> "MeterDaySet":
        """Of rows with `meter_id` and `day`, and of whole days."""
        coded = pairs.column("meter_id").combine_chunks().dictionary_encode()
        keys = np.unique(_keys(coded.indices, pairs.column("day").combine_chunks()))
        return cls(coded.dictionary, keys, day, pa.array(list(whole), pa.date32()))

    def among(self, rows: pa.RecordBatch) -> pa.BooleanArray:
        """Which rows are of one of them. Their meters may be coded."""
        on_whole_day = pc.is_in(rows.column(self.day), self.whole)
        if not len(self.keys):
            return on_whole_day
        meter = rows.column("meter_id")
        coded = meter if pa.types.is_dictionary(meter.type) else meter.dictionary_encode()
        number = pc.index_in(coded.dictionary, self.meters).take(coded.indices)
        one_by_one = pa.array(np.isin(_keys(number, rows.column(self.day)), self.keys))
        return pc.or_(on_whole_day, one_by_one) if len(self.whole) else one_by_one


def _keys(meter: pa.Array, day: pa.Array) -> NDArray[np.int64]:
    number = pc.fill_null(meter, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return (number << 32) | day.cast(pa.int32()).to_numpy(zero_copy_only=False)
