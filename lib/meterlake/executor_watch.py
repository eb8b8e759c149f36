"""Tell when a cluster gives no executor: Spark itself waits without an end, and says so in its log alone."""

import logging
import time
from threading import Thread

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

log = logging.getLogger("meterlake")

PATIENCE_SECONDS = 60.0


def watch(spark: SparkSession) -> None:
    """Look once a minute, for as long as the session lives, whether there is work and nobody to do it."""
    Thread(target=_look, args=(spark,), name="executor-watch", daemon=True).start()


def _look(spark: SparkSession) -> None:
    waited = 0
    try:
        while not spark.sparkContext._jsc.sc().isStopped():
            time.sleep(PATIENCE_SECONDS)
            waited = waited + 1 if _nobody_works(spark) else 0
            if waited == 2:  # at the first look the work may have begun just before it
                log.warning(_sentence(spark))
    except (Py4JError, OSError, AttributeError):  # the session has ended, or its JVM
        return


def _nobody_works(spark: SparkSession) -> bool:
    status = spark.sparkContext._jsc.sc().statusTracker()
    of_executors = len(status.getExecutorInfos()) - 1  # the driver is told, too
    return of_executors < 1 and len(status.getActiveJobIds()) > 0


def _sentence(spark: SparkSession) -> str:
    given = spark.sparkContext.getConf()
    return (
        f"No executor has come from {given.get('spark.master')} for {PATIENCE_SECONDS:.0f} s and longer, and nothing "
        f"is done without one: its workers lack free cores or {given.get('spark.executor.memory', '1g')} of memory, or "
        f"cannot reach this driver at {given.get('spark.driver.host')}; the cluster's own page tells which. "
        "Waiting goes on."
    )
