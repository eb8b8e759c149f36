"""Columns of texts, coded or plain: the same texts either way."""

import pyarrow as pa

from meterlake.tables.coded import as_texts, coded, declared, filled, one_batch, plain, same

TEXTS = coded(pa.string())


def test_only_texts_are_coded() -> None:
    assert pa.dictionary(pa.int32(), pa.string()) == TEXTS
    assert coded(pa.int64()) == pa.int64()
    assert (plain(TEXTS), plain(pa.int64())) == (pa.string(), pa.int64())


def test_a_column_of_one_value() -> None:
    assert same(pa.scalar("ami"), 3).to_pylist() == ["ami"] * 3
    assert same(pa.scalar("ami"), 3).type == TEXTS
    assert same(pa.scalar(None, pa.string()), 2).to_pylist() == [None, None]
    assert same(pa.scalar(None, pa.string()), 2).type == TEXTS, "a file without the column, beside one that has it"
    assert same(pa.scalar(7), 2).to_pylist() == [7, 7]


def test_columns_that_are_absent_hold_their_constant_or_nothing() -> None:
    schema = pa.schema([("many", pa.int64()), ("source", pa.string()), ("unit", pa.string())])
    columns = filled({"many": pa.array([1, 2])}, schema, {"source": "ami", "many": 9, "other": "left out"})
    batch = as_texts(declared(columns, schema))
    assert batch.to_pylist() == [{"many": many, "source": "ami", "unit": None} for many in (1, 2)]
    assert batch.schema.types == schema.types


def test_declared_columns_keep_their_coding_and_get_their_type() -> None:
    schema = pa.schema([("name", pa.string()), ("other", pa.string()), ("many", pa.int64())])
    columns = {"many": pa.array([1, 2], pa.int32()), "name": pa.array(["a", "b"]).dictionary_encode()}
    batch = declared(columns | {"other": pa.array(["c", None])}, schema)
    assert [field.type for field in batch.schema] == [TEXTS, pa.string(), pa.int64()]
    assert as_texts(batch).schema.types == schema.types
    assert as_texts(batch).to_pylist() == batch.to_pylist()


def test_batches_of_several_dictionaries_become_one() -> None:
    parts = [pa.RecordBatch.from_pydict({"name": pa.array(list(text)).dictionary_encode()}) for text in ("ab", "ca")]
    whole = one_batch(pa.Table.from_batches(parts))
    assert whole["name"].to_pylist() == ["a", "b", "c", "a"]
    assert len(whole["name"].dictionary) == 3
