"""The measurements, taken anew whenever Prometheus asks."""

import shutil
from collections.abc import Iterator
from typing import Any

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from meterlake.errors import Unreachable
from meterlake.metrics.families import QUERIES, Query
from meterlake.serving.endpoint import STORES, endpoint
from meterlake.settings import Settings
from meterlake.tables.reader import Lake

PREFIX = "meterlake_"
CPU_MODES = ("user", "system", "iowait", "idle")


def registry(settings: Settings) -> CollectorRegistry:
    """Only our own measurements, none of this process."""
    made = CollectorRegistry()
    made.register(Home(settings))
    return made


class Home(Collector):
    """A lake that cannot be read is a measurement, too: `meterlake_lake_readable` is 0, the rest of it is absent."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def describe(self) -> list[Metric]:
        """Nothing is measured before somebody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            found, readable = list(of_lake(Lake.of(self.settings))), True
        except Unreachable:
            found, readable = [], False
        yield _single("lake_readable", "1 where the lake can be read, or is not there yet.", readable)
        yield from found
        yield from of_stores(self.settings)
        yield from of_machine(self.settings)


def of_lake(lake: Lake) -> Iterator[Metric]:
    """What the queries find, and how much of the disk each table takes."""
    sizes = GaugeMetricFamily(f"{PREFIX}table_bytes", "Bytes of the table's newest version.", labels=("layer", "table"))
    files = GaugeMetricFamily(f"{PREFIX}table_files", "Files of the table's newest version.", labels=("layer", "table"))
    for stored in lake.stored():
        place = (stored.table.layer, stored.table.name)
        sizes.add_metric(place, stored.bytes)
        files.add_metric(place, stored.files)
    yield from (sizes, files)
    for query in QUERIES:
        yield from _measured(query, lake.rows(query.statement))


def of_stores(settings: Settings) -> Iterator[Metric]:
    """Whether PostgreSQL and ClickHouse listen; nobody logs in."""
    up = GaugeMetricFamily(f"{PREFIX}store_up", "1 where the store listens.", labels=("store",))
    for name in STORES:
        up.add_metric((name,), endpoint(settings, name).running)
    yield up


def of_machine(settings: Settings) -> Iterator[Metric]:
    """Processor, memory and the disk of the home, as this process sees them."""
    times = psutil.cpu_times()
    cpu = CounterMetricFamily(f"{PREFIX}cpu_seconds", "Seconds of all processors by what they did.", labels=("mode",))
    for mode in CPU_MODES:
        cpu.add_metric((mode,), getattr(times, mode, 0.0))
    yield cpu
    memory = psutil.virtual_memory()
    yield _single("memory_bytes", "Memory of the machine.", memory.total)
    yield _single("memory_available_bytes", "Memory that programs may still take.", memory.available)
    if settings.home.exists():
        disk = shutil.disk_usage(settings.home)
        yield _single("home_disk_bytes", "Size of the disk that holds the home folder.", disk.total)
        yield _single("home_disk_free_bytes", "What is left of it.", disk.free)


def _measured(query: Query, rows: list[dict[str, Any]]) -> Iterator[Metric]:
    for name, about in query.measures.items():
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        family = kind(PREFIX + name, about, labels=query.labels)
        for row in rows:
            if row[name] is not None:
                family.add_metric([row[label] for label in query.labels], float(row[name]))
        yield family


def _single(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, about, value=value)
