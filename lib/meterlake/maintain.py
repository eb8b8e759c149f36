"""Maintenance of the lake, once a day after the last run: fewer files, a short log, and no change of any row."""

import logging
import time

from meterlake.run import holding
from meterlake.session import spark_session
from meterlake.settings import Settings
from meterlake.tables import upkeep
from meterlake.tables.catalog import TABLES
from meterlake.tables.store import Store

log = logging.getLogger("meterlake")


def maintain(settings: Settings, kept_hours: float) -> int:
    """OPTIMIZE, VACUUM and checkpoint of every table; the number of files that were merged away.

    It holds the home's lock: a MERGE that meets an OPTIMIZE of the same files would have to be done again. Killed at
    any point, it leaves the tables as they were or better, and may be run again.
    """
    merged = 0
    with holding(settings):
        store = Store(spark_session(settings, "meterlake maintain"), settings)
        for name, table in TABLES.items():
            if store.exists(table):
                began = time.monotonic()
                removed, added = upkeep.optimize(store, table)
                upkeep.vacuum(store, table, kept_hours)
                upkeep.checkpoint(store, table)
                merged += removed - added
                told = f"{removed:,} files -> {added:,}" if removed else "nothing to merge"
                log.info("%-28s %s; %d files, %.1f s", name, told, upkeep.files(store, table), time.monotonic() - began)
    return merged
