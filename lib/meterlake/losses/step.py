"""The part of the step `marts` about losses: balances, the meters and their days behind them, regions in figures."""

from datetime import date, timedelta
from functools import partial

from pyspark.sql import functions as F

from meterlake.run import Run
from meterlake.session import at_once
from meterlake.tables.changes import Changes, following_days
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.loss_findings import LOSS_FINDINGS
from meterlake.tables.mart_energy_balance import MART_ENERGY_BALANCE
from meterlake.tables.mart_region_kpis import MART_REGION_KPIS
from meterlake.tables.mart_suspects import MART_SUSPECTS
from meterlake.tables.months import DAY, about, all_months, changed_months, later, within
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import loss_findings, mart_energy_balance, mart_region_kpis, mart_suspects


def supply_changes(run: Run) -> Changes:
    """The changed days of the meters that measure the supply of this source's feeders; nothing where there are none."""
    losses = run.source.losses
    if losses is None or not run.store.has(STG_METERS, losses.supply_source):
        return Changes(run.source.name, None, None, None)
    return run.changes_of(losses.supply_source, "marts", INT_READINGS_DAILY)


def losses(run: Run, days: Changes, supply: Changes) -> int:
    """Balances, suspects and regions of the months with a changed day of a customer or a supply meter; rows written.

    Nothing is made for a source whose supply nobody measures.
    """
    stands = run.store.exists(MART_ENERGY_BALANCE)
    if run.source.losses is None or (supply.nothing and not stands):
        return 0
    everything = days.everything or supply.everything or not stands or not run.store.exists(MART_REGION_KPIS)
    months = all_months(run.store, run.source.name) if everything else changed_months(days, supply)
    if not months:
        return 0
    supply_source = run.source.losses.supply_source
    rows = _balance(run, supply_source, months, everything)
    work = (
        partial(_suspects, run, months, everything),
        partial(_region_kpis, run, months, everything),
        partial(_loss_findings, run, days, supply),
    )
    return rows + sum(at_once(run.store.spark, work, len(work)))


def _balance(run: Run, supply_source: str, months: list[date], everything: bool) -> int:
    store, source, concerned = run.store, run.source, "true" if everything else within(months)
    both = F.col("source").isin(source.name, supply_source)
    own = mart_energy_balance.build(
        hourly=store.read(INT_READINGS_HOURLY, supply_source).where(concerned),
        daily=store.read(INT_READINGS_DAILY).where(both).where(concerned),
        monthly=store.read(INT_READINGS_MONTHLY).where(both).where(about(months)),
        meters=store.read(STG_METERS).where(both),
        source=source,
    ).persist()
    rows = store.replace_months(
        mart_energy_balance.rolled_up(own, source), MART_ENERGY_BALANCE, source.name, None if everything else months
    )
    own.unpersist()
    return rows


def _suspects(run: Run, months: list[date], everything: bool) -> int:
    """A month is the past of the next one: that is judged again, too."""
    store, source = run.store, run.source
    judged = sorted({*months, *(later(month) for month in months)})
    around = sorted({*judged, *(later(month, -1) for month in judged)})
    found = mart_suspects.build(
        store.read(INT_READINGS_DAILY, source.name).where(within(around)),
        store.read(MART_ENERGY_BALANCE, source.name).where(within(judged)),
        store.read(STG_METERS, source.name),
        source,
        judged,
    )
    return store.replace_months(found, MART_SUSPECTS, source.name, None if everything else judged)


def _region_kpis(run: Run, months: list[date], everything: bool) -> int:
    store, source = run.store, run.source
    kpis = mart_region_kpis.build(
        store.read(MART_ENERGY_BALANCE, source.name).where(within(months)),
        store.read(INT_READINGS_MONTHLY, source.name).where(about(months)),
        store.read(STG_METERS, source.name),
        source,
    )
    return store.replace_months(kpis, MART_REGION_KPIS, source.name, None if everything else months)


def _loss_findings(run: Run, days: Changes, supply: Changes) -> int:
    """The days with a changed hour below a transformer or of its supply, and those for which it tells who is there."""
    store, source = run.store, run.source
    assert source.losses is not None
    both = F.col("source").isin(source.name, source.losses.supply_source)
    hourly, daily, meters = (
        store.read(table).where(both) for table in (INT_READINGS_HOURLY, INT_READINGS_DAILY, STG_METERS)
    )
    # A home of a version that did not make the table gets all days with its next readings.
    first_time = not store.exists(LOSS_FINDINGS) or run.seen("marts", LOSS_FINDINGS) is None
    if days.everything or supply.everything or first_time:
        found = loss_findings.build(hourly, daily, meters, source, None)
        return store.replace_months(found, LOSS_FINDINGS, source.name, None)
    changed = days.or_in(supply).also(following_days(loss_findings.MEMBER_DAYS)).days
    assert changed is not None
    wanted = (
        changed.join(meters.where("transformer IS NOT NULL"), on="meter_id")
        .select("transformer", F.col("day").alias(DAY))
        .distinct()
        .persist()
    )
    first, last = wanted.agg(F.min(DAY), F.max(DAY)).head() or (None, None)
    if first is None:
        return 0
    reach = f"{DAY} BETWEEN DATE'{first}' AND DATE'{last}'"
    before = f"{DAY} BETWEEN DATE'{first - timedelta(days=loss_findings.MEMBER_DAYS)}' AND DATE'{last}'"
    found = loss_findings.build(hourly.where(reach), daily.where(before), meters, source, wanted)
    stands = store.read(LOSS_FINDINGS, source.name).where(reach).join(wanted, ["transformer", DAY], "left_semi")
    bounds = f"t.source = '{source.name}' AND t.{reach}"
    rows = store.exchange(found, stands, LOSS_FINDINGS, bounds)
    wanted.unpersist()
    return rows
