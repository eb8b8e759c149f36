"""The words, numbers and tables of the page's sections, from the facts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from meterlake.report import forecast_shown, losses
from meterlake.report.data import Facts, records
from meterlake.report.look import figures, number, percent, words
from meterlake.report.plots import worst_day
from meterlake.report.sankey import THINNEST, reason_sets
from meterlake.report.spread import bars_of, quantiles
from meterlake.sources.source import FIXED_OFFSET, Source

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
Tile = tuple[str, str, str, str]  # label, value, note, colour class

MEASURES = {
    "consumption_kwh": ("Energy per reading", "kWh"),
    "voltage_v": ("Voltage", "V"),
    "temperature_c": ("Air temperature", "°C"),
}


def all_of(facts: Facts, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What the template needs beyond the headline."""
    met = facts["gates"]["success"].astype(bool)
    drawn = [bars_of(facts["spread"], measure) for measure in MEASURES]
    spread = {measure: quantiles(facts["spread"], measure) for measure in MEASURES}
    return {
        "scope": "this run" if facts.of_run else "all batches so far",
        "clock": clock(facts.source),
        "ledger_rows": ledger_rows(facts),
        "balance": balance(facts.ledger),
        "extra_columns": sorted(
            {str(name) for names in facts["files"]["extra_columns"] if names is not None for name in names}
        ),
        "complete": complete(facts),
        "thin": any(0 < share < THINNEST for _, _, share, _, _ in ledger_rows(facts)),
        "spread": spread,
        "gathered": any(bars.below or bars.beyond for bars in drawn),
        "absent": [MEASURES[measure][0].lower() for measure, values in spread.items() if values is None],
        "heat_says": heat_says(facts["heat"]),
        "top": top(facts),
        "forecast": forecast_shown.says(facts["forecast_elements"], facts["forecast"]),
        "losses": losses.says(facts["losses_by_day"]),
        "loss_rows": records(facts["losses_by_element"]),
        "recoverable": records(facts["recoverable"]),
        "surest": records(facts["surest"]),
        "suspects": suspects(facts["suspects"]),
        "reason_rows": records(facts["reasons"].assign(reasons=facts["reasons"]["reasons"].map(list))),
        "unparsable_rows": records(facts["unparsable"]),
        "failed": records(facts["gates"][~met]),
        "met": records(facts["gates"][met]),
        "gate_says": gate_says(facts["gates"]),
        "step_rows": records(steps(facts, summary)),
        "model": model(facts["model"]),
    }


def headline(facts: Facts, summary: Mapping[str, Any]) -> list[Tile]:
    """The eight numbers at the top, each with a note and the class of its colour."""
    days, ledger, source = facts.days, facts.ledger, facts.source
    known, expected = int(days["reading_count"].sum()), int(days["expected_count"].sum())
    lacking = f"{number(max(expected - known, 0))} missing"
    energy = float(days["consumption_kwh"].sum())
    lines, rejected = ledger.get("lines", 0), ledger.get("quarantined", 0) + ledger.get("unparsable", 0)
    rejected_share = f"{percent(rejected / lines if lines else None, 2)} of {number(lines)} lines"
    scored, flagged = int(facts["model"]["scored"].sum()), int(facts["model"]["flagged"].sum())
    flagged_share = f"{percent(flagged / scored if scored else None, 2)} of those scored"
    seconds = float(summary.get("seconds") or steps(facts, summary)["seconds"].sum())
    rate = f"{number(lines / seconds)} lines/s" if facts.of_run and seconds else "nothing new in this run"
    cadence = "of 5 min or more" if source.varies else f"every {source.interval_minutes} min"
    return [
        ("Readings", number(known), f"with a value, {cadence}", "measured"),
        ("Meters", number(facts.meters), source.name, ""),
        ("Period", number(len(days)), period(days), ""),
        ("Energy", figures(energy) if energy < 100 else number(energy), "kWh", "measured"),
        ("Completeness", percent(known / expected if expected else None), lacking, "missing"),
        ("Rejected lines", number(rejected), rejected_share, "quarantined"),
        ("Flagged readings", number(flagged), flagged_share, "anomaly"),
        ("Seconds", number(seconds, 0 if seconds >= 100 else 1), rate, ""),
    ]


def period(days: pd.DataFrame) -> str:
    """days, 2024-02-01 to 2024-03-11."""
    dates = list(days["reading_date_local"])
    return f"days, {dates[0]} to {dates[-1]}" if dates else "days"


def clock(source: Source) -> str:
    """How local times on this page are to be read."""
    if source.time_zone == "UTC":
        return "UTC"
    return f"UTC{source.time_zone}" if FIXED_OFFSET.match(source.time_zone) else f"local time, {source.time_zone}"


def on_clock(instants: pd.Series, source: Source) -> pd.Series:
    """Instants (UTC, as Spark gives them) on the source's clock."""
    zone = f"UTC{source.time_zone}" if FIXED_OFFSET.match(source.time_zone) else source.time_zone
    return pd.to_datetime(instants).dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)


def ledger_rows(facts: Facts) -> list[tuple[str, int, float, int, str]]:
    """(what, lines, share of all lines, depth, colour class), the tree of the picture as a table."""
    ledger = facts.ledger
    if not ledger:
        return []
    tree = [
        ("Lines in the files", ledger["lines"], 0, "measured"),
        ("Loaded", ledger["loaded"], 1, "measured"),
        ("Current readings", ledger["current"], 2, "measured"),
        ("Exact duplicates", ledger["exact_duplicates"], 2, "missing"),
        ("Superseded by a later file", ledger["superseded"], 2, "missing"),
        ("Quarantined", ledger["quarantined"], 2, "quarantined"),
        *((name, lines, 3, "quarantined") for name, lines in reason_sets(facts["reasons"], ledger["quarantined"])),
        ("Unparsable, kept as raw text", ledger["unparsable"], 1, "quarantined"),
    ]
    return [(what, lines, lines / max(ledger["lines"], 1), depth, colour) for what, lines, depth, colour in tree]


def balance(ledger: dict[str, int]) -> tuple[bool, str]:
    """Whether the ledger balances, with the sums in words."""
    if not ledger:
        return True, "No file has been loaded yet."
    parts = ("current", "exact_duplicates", "superseded", "quarantined")
    after = sum(ledger[part] for part in parts)
    balanced = ledger["lines"] == ledger["loaded"] + ledger["unparsable"] and ledger["loaded"] == after
    lines, loaded, unparsable = (number(ledger[name]) for name in ("lines", "loaded", "unparsable"))
    sums = (
        f"{lines} lines = {loaded} loaded + {unparsable} unparsable; "
        f"{loaded} loaded = " + " + ".join(f"{number(ledger[part])} {words(part)}" for part in parts) + "."
    )
    return balanced, sums


def complete(facts: Facts) -> dict[str, Any]:
    """Completeness in words: the worst day, full days, and readings by quality."""
    days, spread = facts.days, facts["spread"]
    quality = spread[spread["measure"] == "quality"].sort_values("readings", ascending=False)
    lacking = days["reading_count"] < days["expected_count"]
    return {
        "days": len(days),
        "full": int((~lacking).sum()),
        "empty": int((days["reading_count"] == 0).sum()),
        "worst": worst_day(days),
        "quality": list(zip(quality["quality"], quality["readings"], strict=True)),
    }


def heat_says(heat: pd.DataFrame) -> str:
    """The hour of the highest and of the lowest mean load, in words."""
    hours = sorted(records(heat), key=lambda hour: hour["mean_kw"])
    if not hours:
        return ""

    def at(hour: dict[str, Any]) -> str:
        day = DAYS[int(hour["day_of_week"]) - 1]
        return f"{day} {int(hour['hour_of_day']):02d}:00 ({figures(float(hour['mean_kw']))} kW)"

    return f"Highest {at(hours[-1])}, lowest {at(hours[0])}."


def top(facts: Facts) -> list[dict[str, Any]]:
    """The worst meter-days with their worst reading; its time on the source's clock."""
    frame = facts["top"]
    if frame.empty:
        return []
    local = on_clock(frame["reading_timestamp"], facts.source)
    named = frame["anomaly_type"].map(lambda name: words(name or ""))
    return records(frame.assign(at=local.dt.strftime("%Y-%m-%d %H:%M"), type=named))


def suspects(days: pd.DataFrame) -> list[dict[str, Any]]:
    """One record per meter: meter_id, stake_kwh, flagged_days."""
    return [] if days.empty else records(days.drop_duplicates("meter_id"))


def lines_by_reason(reasons: pd.DataFrame) -> dict[str, int]:
    """Lines by single reason; a line that broke two rules counts for both. The commonest first, 12 at most."""
    counts: Counter[str] = Counter()
    for row in records(reasons):
        counts.update(dict.fromkeys(row["reasons"], int(row["lines"])))
    return dict(counts.most_common(12))


def gate_says(gates: pd.DataFrame) -> str:
    """How many expectations were met, in words."""
    if gates.empty:
        return "No gate ran: there was nothing new to judge."
    failed = gates[~gates["success"].astype(bool)]
    if failed.empty:
        return f"All {len(gates)} expectations were met."
    critical = int((failed["severity"] == "critical").sum())
    consequence = "The marts were not published." if critical else "Warnings do not stop the publication."
    return f"{len(failed)} of {len(gates)} expectations failed, {critical} of them critical. {consequence}"


def steps(facts: Facts, summary: Mapping[str, Any]) -> pd.DataFrame:
    """step, seconds, rows_in, rows_out, rate (rows per second): as the run tells, else as `ops.runs` holds them."""
    names = ["step", "seconds", "rows_in", "rows_out"]
    told = summary.get("steps")
    done = pd.DataFrame(told, columns=names) if told else facts["steps"][names]
    rows = done[["rows_in", "rows_out"]].max(axis=1).astype("float64")
    return done.assign(rate=(rows / done["seconds"].clip(lower=1e-3)).fillna(0.0))


def model(counts: pd.DataFrame) -> list[dict[str, Any]]:
    """Per model version: readings scored, flagged, their share, and the flagged by type."""
    found = []
    for version, rows in counts.groupby("model_version"):
        scored, flagged = int(rows["scored"].sum()), int(rows["flagged"].sum())
        types = records(rows[rows["anomaly_type"].notna()].sort_values("flagged", ascending=False))
        by_type = [(words(row["anomaly_type"]), int(row["flagged"])) for row in types]
        told = {"version": version, "scored": scored, "flagged": flagged, "share": flagged / scored, "types": by_type}
        found.append(told)
    return found
