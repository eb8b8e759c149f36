"""Head starts: what a whole run needs later and can begin at once, on the core that its first steps leave idle.

Nothing here changes what a step does: a step that finds its need unmet, or half met, waits or does it itself.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from threading import Thread

from pyspark.sql import SparkSession

from meterlake.session import spark_session
from meterlake.settings import Settings

log = logging.getLogger("meterlake")

# Great Expectations takes 5 s, MLflow 4, plotly 1.
SLOW_IMPORTS = (
    "meterlake.quality.checkpoint",
    "meterlake.anomaly.quiet_mlflow",  # before any other of MLflow
    "mlflow.sklearn",
    "plotly.graph_objects",
)


def session(settings: Settings, app_name: str, text_bytes: int | None = None) -> Future[SparkSession]:
    """Spark starts while the caller imports what the steps need: its JVM takes 5 s, scikit-learn 3 s."""
    pool = ThreadPoolExecutor(1)
    started = pool.submit(spark_session, settings, app_name, text_bytes)
    pool.shutdown(wait=False)
    return started


def imports() -> None:
    """Import the slow libraries beside the first steps."""
    Thread(target=_import, name="headstart", daemon=True).start()


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """Both stores start beside the block; publish finds them up. They stop with the block, as `stores` says."""
    from meterlake.serving.embedded import stores

    with ExitStack() as up, ThreadPoolExecutor(1) as pool:
        pool.submit(up.enter_context, stores(settings))
        yield


def _import() -> None:
    try:
        for name in SLOW_IMPORTS:
            import_module(name)
    except Exception as error:  # the step that needs it meets the same error, and tells it
        log.debug("head start: %s", error)
