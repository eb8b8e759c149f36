"""Delivered lines -> rows of bronze. Lines are read as text and parsed by Spark's own CSV parser (`from_csv`).

Why not the CSV reader: the text keeps the raw line exactly, a line of ten million separators does not end the job, and
the position of a line in its file is known. It costs 0.4 s in 2.9 M lines.
"""

import re
from collections.abc import Iterator
from functools import reduce
from itertools import groupby
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from meterlake.shares import frame_of
from meterlake.sources.inspect import Inspected
from meterlake.sources.nem12_read import read_nem12, read_nem12_again
from meterlake.sources.source import WITH_OFFSET, Source, states_offset

MAX_LINE = 65_536
BLANK = " \t\r\f\v"  # around a line it means nothing
NUMBERS = (
    "value",
    "voltage",
    "sub_metering_1",
    "sub_metering_2",
    "sub_metering_3",
    "temperature",
    "humidity",
    "wind_speed",
    "avg_past_consumption",
)
TEXTS = ("anomaly_label", "region", "feeder", "transformer", "customer_id")
# What a source's lines may each bring along, and its declaration says otherwise.
OWN = {"interval_minutes": "int", "unit": "string", "delivered_quality": "string"}
ISO = "yyyy-MM-dd HH:mm[:ss]"
ROW_BITS = 33  # monotonically_increasing_id: the task above, the row in the task below


def read_lines(spark: SparkSession, files: list[tuple[Inspected, int, str]], source: Source) -> DataFrame:
    """Every data line of the files, typed.

    Args:
        files: each file with its `file_id` and the meter that its name stands for.

    Returns:
        The measurement columns of `meter_readings`, `raw_line`, `parse_error`, `source_file`, `file_id`, `line_order`.
    """
    if source.format.layout == "nem12":
        return _with_absent(read_nem12(spark, files, source.format.encoding))
    frames = (_read_layout(spark, list(layout), source) for layout in _by_header(files))
    return reduce(DataFrame.unionByName, frames)


def read_doubtful(doubtful: DataFrame, files: list[tuple[Inspected, int, str]], source: Source) -> DataFrame:
    """The lines that `load_plain` left, typed like those of `read_lines`.

    Args:
        doubtful: `file_id`, `line_order` and the bytes of the `line`.
    """
    text = F.btrim(F.col("line").cast("string"), F.lit(BLANK)).alias("line")
    lines = doubtful.select("file_id", "line_order", text)
    frames = []
    for group in _by_header(files):
        layout = list(group)
        rows = [(seen.path, file_id, meter) for seen, file_id, meter in layout]
        of_files = frame_of(lines.sparkSession, rows, "source_file string, file_id bigint, file_meter string")
        data = lines.join(F.broadcast(of_files), on="file_id", how="inner")
        frames.append(typed(data, layout[0][0].header, source))
    return reduce(DataFrame.unionByName, frames)


def reread_nem12(raw: DataFrame) -> DataFrame:
    """What parses now of the days of NEM12 in these raw lines of bronze, typed like those of `read_lines`."""
    return _with_absent(read_nem12_again(raw))


def _with_absent(values: DataFrame) -> DataFrame:
    """NEM12 values, and nulls for the measurements that such files do not have."""
    absent = [name for name in (*NUMBERS, *TEXTS) if name != "value"]
    return values.select("*", *_nulls({name: "double" if name in NUMBERS else "string" for name in absent}))


def _nulls(types: dict[str, str]) -> list[Column]:
    return [F.lit(None).cast(kind).alias(name) for name, kind in types.items()]


def _by_header(files: list[tuple[Inspected, int, str]]) -> Iterator[Iterator[tuple[Inspected, int, str]]]:
    """Files with the same header line are read together; the order of columns may differ between files."""
    ordered = sorted(files, key=lambda file: file[0].header_line)
    return (group for _, group in groupby(ordered, key=lambda file: file[0].header_line))


def _read_layout(spark: SparkSession, files: list[tuple[Inspected, int, str]], source: Source) -> DataFrame:
    header_line, header = files[0][0].header_line, files[0][0].header
    delivered = frame_of(
        spark,
        [(_spark_path(spark, seen.path), seen.path, file_id, meter) for seen, file_id, meter in files],
        "file_path string, source_file string, file_id bigint, file_meter string",
    )
    lines = _lines(spark, [seen.path for seen, _, _ in files], source)
    data = lines.where((F.col("line") != header_line) & (F.col("line") != "")).join(
        F.broadcast(delivered), on="file_path", how="inner"
    )
    return typed(data, header, source)


def _lines(spark: SparkSession, paths: list[str], source: Source) -> DataFrame:
    """Each line with its file and its order in the file.

    A task reads its splits one after the other and a file's splits start at ever larger offsets, so the split's start
    and the row's number in the task order the lines of a file. Splits start at multiples of 4 MiB or more, hence the
    start in KiB loses nothing and both fit into one bigint.
    """
    row_in_task = F.monotonically_increasing_id().bitwiseAND((1 << ROW_BITS) - 1)
    start_kib = F.shiftright(F.col("_metadata.file_block_start"), 10)
    text = F.col("value")
    if source.format.encoding.upper().replace("-", "") != "UTF8":
        text = F.decode(text.cast("binary"), source.format.encoding)
    # A carriage return before the newline is part of the line's end; blanks and tabs around a line mean nothing.
    return (
        spark.read.option("lineSep", "\n")
        .text([_escaped(path) for path in paths])
        .select(
            F.btrim(text, F.lit(BLANK)).alias("line"),
            F.col("_metadata.file_path").alias("file_path"),
            F.shiftleft(start_kib, ROW_BITS).bitwiseOR(row_in_task).alias("line_order"),
        )
    )


def _escaped(path: str) -> str:
    """Hadoop takes [ ] { } * ? in a path for a glob; ours are names."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)


def _spark_path(spark: SparkSession, path: str) -> str:
    """The path as Spark's `_metadata.file_path` spells it."""
    jvm: Any = spark._jvm
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    filesystem = hadoop_path.getFileSystem(spark._jsc.hadoopConfiguration())
    return filesystem.makeQualified(hadoop_path).toUri().toString().replace("file:///", "file:/", 1)


def typed(data: DataFrame, header: tuple[str, ...], source: Source) -> DataFrame:
    """`line` and where it stands -> the typed columns of bronze, with the reason where a line does not parse.

    Args:
        data: `line`, `source_file`, `file_id`, `line_order`, `file_meter`.
    """
    columns = _Layout(source, header)
    readable = (F.length("line") <= MAX_LINE) & F.is_valid_utf8("line")
    fields = F.when(readable, columns.fields())
    rows = data.withColumn("fields", fields).withColumn("parsed", columns.parsed()).select("*", *columns.values())
    failed = columns.failed()
    error = F.when(failed, columns.explanation())
    known = ~failed
    names = ("meter_id", "stamp_local", *NUMBERS, *TEXTS)
    return rows.select(
        *(F.when(known, F.col(name)).alias(name) for name in names),
        *_nulls(OWN),
        F.when(failed, F.col("line")).alias("raw_line"),
        error.alias("parse_error"),
        "source_file",
        "file_id",
        "line_order",
    )


class _Layout:
    """One header of one source, as Spark expressions over `line` and `parsed`.

    A column is parsed straight into its type where `from_csv` can do that; several timestamp patterns or null marks,
    or a decimal comma, are read as text and converted.
    """

    def __init__(self, source: Source, header: tuple[str, ...]) -> None:
        self.source, self.format, self.header = source, source.format, header
        declared = {"value": source.columns.value, **source.columns.optional}
        self.headers = {name: header.index(text) for name, text in declared.items() if text in header}
        self.stamps = [header.index(name) for name in source.columns.stamps]
        self.plain_numbers = source.format.decimal == "." and len(source.format.null_marks) <= 1
        patterns = source.format.timestamp
        self.plain_stamp = len(self.stamps) == 1 and len(patterns) <= 1 and not any(map(states_offset, patterns))

    @property
    def options(self) -> dict[str, str]:
        options = {
            "sep": self.format.separator,
            "nullValue": self.format.null_marks[0] if self.format.null_marks else "",
            "columnNameOfCorruptRecord": "corrupt",
            "ignoreLeadingWhiteSpace": "true",
            "ignoreTrailingWhiteSpace": "true",
        }
        if self.plain_stamp and self.format.timestamp:
            options["timestampNTZFormat"] = self.format.timestamp[0]
        return options

    @property
    def _numbers(self) -> dict[int, str]:
        return {index: "double" for name, index in self.headers.items() if name in NUMBERS and self.plain_numbers}

    def fields(self) -> Column:
        """The fields of the line."""
        stamp = {self.stamps[0]: "timestamp_ntz"} if self.plain_stamp else {}
        return F.from_csv("line", self._schema(self._numbers | stamp), self.options)

    def parsed(self) -> Column:
        """`fields`. Where these do not parse, the stamp may still state an offset: they are read again, it as text."""
        fields = F.col("fields")
        if not self.plain_stamp or self.format.timestamp or self.source.constant_offset is None:
            return fields
        name = f"c{self.stamps[0]}"
        texts = F.from_csv("line", self._schema(self._numbers), self.options)
        whole = F.regexp_replace(texts[name], r"^(.{16})(?= ?[Z+-])", "$1:00")  # Spark wants seconds before an offset
        instant = F.when(texts[name].rlike(WITH_OFFSET), self._on_its_clock(whole.try_cast("timestamp")))
        again = F.when(texts["corrupt"].isNull() & instant.isNotNull(), texts.withField(name, instant))
        return F.when(F.col("fields.corrupt").isNull(), fields).otherwise(F.coalesce(again, fields))

    def _on_its_clock(self, instant: Column) -> Column:
        """Of a clock that never changes: in an hour that comes twice an instant could not be told apart any more."""
        ahead = self.source.constant_offset
        assert ahead is not None
        return (instant + F.make_dt_interval(secs=F.lit(ahead.total_seconds()))).cast("timestamp_ntz")

    def _schema(self, types: dict[int, str]) -> str:
        fields = [f"c{index} {types.get(index, 'string')}" for index in range(len(self.header))]
        return ", ".join([*fields, "corrupt string"])

    def values(self) -> list[Column]:
        """The columns of bronze. `stamp_text` keeps the text of a stamp that is converted here."""
        meter = F.col("file_meter")
        if self.source.columns.meter_id:
            meter = _field(self.header.index(self.source.columns.meter_id))
        return [
            meter.alias("meter_id"),
            self._stamp().alias("stamp_local"),
            *(self._number(name).alias(name) for name in NUMBERS),
            *(self._text(name).alias(name) for name in TEXTS),
        ]

    def _stamp_text(self) -> Column:
        return F.concat_ws(" ", *(_field(index) for index in self.stamps))

    def _stamp(self) -> Column:
        if self.plain_stamp:
            return _field(self.stamps[0])
        # try_to_timestamp gives an instant in the session's zone, which is UTC: the cast only drops the zone.
        tries = {p: F.try_to_timestamp(self._stamp_text(), F.lit(p)) for p in self.format.timestamp or (ISO,)}
        return F.coalesce(
            *(self._on_its_clock(at) if states_offset(p) else at.cast("timestamp_ntz") for p, at in tries.items())
        )

    def _number(self, name: str) -> Column:
        if name not in self.headers:
            return F.lit(None).cast("double")
        field = _field(self.headers[name])
        return field if self.plain_numbers else self._number_text(field).try_cast("double")

    def _number_text(self, field: Column) -> Column:
        """The text of a number with a decimal point; null where it is one of the null marks."""
        known = F.when(~field.isin(*self.format.null_marks), field) if self.format.null_marks else field
        return F.replace(known, F.lit(","), F.lit(".")) if self.format.decimal == "," else known

    def _text(self, name: str) -> Column:
        return _field(self.headers[name]) if name in self.headers else F.lit(None).cast("string")

    def failed(self) -> Column:
        """True where the line, or a field of it, cannot be read."""
        checks = [F.col("parsed").isNull(), F.col("parsed.corrupt").isNotNull()]
        if not self.plain_stamp:
            checks.append((self._stamp_text() != "") & F.col("stamp_local").isNull())
        if not self.plain_numbers:
            numbers = [name for name in self.headers if name in NUMBERS]
            texts = {name: self._number_text(_field(self.headers[name])) for name in numbers}
            checks += [text.isNotNull() & F.col(name).isNull() for name, text in texts.items()]
        return F.coalesce(reduce(Column.__or__, checks), F.lit(True))

    def explanation(self) -> Column:
        """Why a failed line does not parse, in words. Read again as text; evaluated for failed lines only."""
        texts = F.from_csv("line", self._schema({}), self.options)
        fields = F.size(F.split("line", re.escape(self.format.separator)))
        said = F.when(F.length("line") > MAX_LINE, F.lit(f"longer than {MAX_LINE} characters"))
        said = said.when(~F.is_valid_utf8("line"), F.lit("not valid UTF-8"))
        said = said.when(
            texts["corrupt"].isNotNull(), F.format_string(f"%d fields where the header has {len(self.header)}", fields)
        )
        for name, index in self.headers.items():
            if name in NUMBERS:
                text = texts[f"c{index}"]
                number = self._number_text(text)
                bad = number.isNotNull() & number.try_cast("double").isNull()
                said = said.when(
                    bad, F.format_string(f"{self.header[index].replace('%', '%%')}: '%s' is no number", text)
                )
        stamp = F.concat_ws(" ", *(texts[f"c{index}"] for index in self.stamps))
        if self.source.constant_offset is None:
            states = f"'%s' states an offset, which a clock with summer time ({self.source.time_zone}) does not keep"
            said = said.when(stamp.rlike(WITH_OFFSET), F.format_string(states, stamp))
        return said.otherwise(F.format_string("'%s' is no time stamp", stamp))


def _field(index: int) -> Column:
    return F.col(f"parsed.c{index}")
