"""The part of the step `marts` about outages: interruptions, and the indices that follow from them."""

from meterlake.run import Run
from meterlake.shares import frame_of
from meterlake.sources.catalog import supply_sources
from meterlake.tables.changes import Changes
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.mart_feeder_outages import MART_FEEDER_OUTAGES
from meterlake.tables.mart_reliability import MART_RELIABILITY
from meterlake.tables.months import about, all_months, changed_months, later, within
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.vee_findings import VEE_FINDINGS
from meterlake.transforms import mart_feeder_outages, mart_reliability


def outages(run: Run, days: Changes, found: Changes) -> int:
    """Interruptions and indices of the months with a changed day or finding; the number of rows written.

    A month is made of its own days and findings only (an interruption is cut where it ends), so that it is the same
    whatever came in which order. Nothing is made for a source whose readings VEE leaves alone, that knows no feeder, or
    that measures the supply of another one.
    """
    store, source = run.store, run.source
    if source.varies or source.name in supply_sources(run.settings):
        return 0
    stands = store.exists(MART_RELIABILITY)
    if not stands and not store.has(STG_METERS, source.name, "coalesce(feeder, transformer) IS NOT NULL"):
        return 0
    everything = days.everything or found.everything or not stands
    affected = found.also(mart_feeder_outages.affected_days)
    months = all_months(store, source.name) if everything else changed_months(days, affected)
    if not months:
        return 0
    monthly = store.read(INT_READINGS_MONTHLY, source.name).where(about(months))
    members = mart_feeder_outages.served(monthly, store.read(STG_METERS, source.name)).persist()
    findings = store.read(VEE_FINDINGS, source.name)
    if not everything:
        findings = findings.where(within([*months, *(later(month, -1) for month in months)]))
    calendar = frame_of(store.spark, mart_feeder_outages.calendar(months, source), mart_feeder_outages.MONTHS)
    concerned = None if everything else months
    told = mart_feeder_outages.build(findings, members, calendar, source)
    rows = store.replace_months(told, MART_FEEDER_OUTAGES, source.name, concerned)
    standing = store.read(MART_FEEDER_OUTAGES, source.name).where(within(months))
    indices = mart_reliability.build(standing, members, source)
    rows += store.replace_months(indices, MART_RELIABILITY, source.name, concerned)
    members.unpersist()
    return rows
