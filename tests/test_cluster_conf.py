"""conf/cluster and conf/compose/spark: Spark, Delta or Hadoop know every name, and none contradicts the code."""

import re
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from meterlake.settings import DEFAULT_CONF, PROJECT, read_toml

FOLDER = PROJECT / "conf" / "cluster"
# Where a name's end is the user's own word, Spark knows it by its beginning and end.
OPEN = re.compile(
    r"spark\.kubernetes\.(driver|executor)\.volumes\.(hostPath|persistentVolumeClaim|emptyDir|nfs)\.[\w-]+\."
    r"(mount\.(path|subPath|readOnly)|options\.(claimName|storageClass|sizeLimit|medium|path|server))"
)
# Objects whose start registers the names of a part of Spark; those of its core are there once a session is.
PARTS = (
    "org.apache.spark.deploy.k8s.Config$",
    "org.apache.spark.deploy.yarn.config.package$",
    "org.apache.spark.internal.config.History$",
    "org.apache.spark.sql.delta.sources.DeltaSQLConf$",
)


def properties(name: str) -> dict[str, str]:
    lines = (FOLDER / name).read_text().splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    assert len(pairs) == len({pair[0] for pair in pairs}), "no name stands twice"
    return {pair[0]: pair[1].strip() for pair in pairs}


@pytest.fixture(scope="module")
def jvm(spark: SparkSession) -> Any:
    found: Any = spark._jvm
    loader = found.java.lang.Thread.currentThread().getContextClassLoader()
    for part in PARTS:
        found.java.lang.Class.forName(part, True, loader)
    return found


def is_known(jvm: Any, name: str) -> bool:
    if OPEN.fullmatch(name):
        return True
    if name.startswith("spark.hadoop."):
        return jvm.org.apache.hadoop.conf.Configuration().get(name.removeprefix("spark.hadoop.")) is not None
    return jvm.org.apache.spark.internal.config.ConfigEntry.findEntry(name) is not None


@pytest.mark.parametrize("name", ["yarn.conf", "kubernetes.conf", "../compose/spark/spark-defaults.conf"])
def test_every_name_is_known_and_every_value_can_be_read(jvm: Any, name: str) -> None:
    found = properties(name)
    assert [key for key in found if not is_known(jvm, key)] == []
    for key, value in found.items():
        if entry := jvm.org.apache.spark.internal.config.ConfigEntry.findEntry(key):
            entry.valueConverter().apply(value)  # a value of the wrong kind raises


@pytest.mark.parametrize(
    "name",
    [
        "spark.executor.memroy",
        "spark.sql.adaptive.advisoryPartitionSize",
        "spark.databricks.delta.snapshotPartition",
        "spark.hadoop.fs.s3a.connections",
        "spark.kubernetes.executor.volumes.emptyDir.x.mount.paht",
        "spark.kubernetes.image",
    ],
)
def test_a_misspelt_name_is_not_known(jvm: Any, name: str) -> None:
    assert not is_known(jvm, name)


@pytest.mark.parametrize("name", ["yarn.conf", "kubernetes.conf"])
def test_spark_decides_nothing_that_meterlake_decides(name: str) -> None:
    """`size_to` sets the shuffle partitions, and a speculated task would write to the stores twice."""
    found = properties(name)
    assert "spark.sql.shuffle.partitions" not in found
    assert found["spark.speculation"] == "false"


@pytest.mark.parametrize("name", ["driver-pod.yaml", "executor-pod.yaml"])
def test_a_pod_template_names_settings_that_exist(name: str) -> None:
    text = (FOLDER / name).read_text()
    known = {"METERLAKE_PROJECT", "METERLAKE_HOME"}
    for section, names in read_toml(DEFAULT_CONF).items():
        known |= {f"METERLAKE_{section}_{one}".upper() for one in names}
    assert set(re.findall(r"name: (METERLAKE_\w+)", text)) <= known
    (kind,) = re.findall(r"name: spark-kubernetes-(\w+)", text)
    assert f"spark.kubernetes.{kind}.podTemplateFile" in properties("kubernetes.conf")
    assert Path(properties("kubernetes.conf")[f"spark.kubernetes.{kind}.podTemplateFile"]).name == name
