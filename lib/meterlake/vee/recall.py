"""How good the rules are: found and missed against the generator's truth, and findings on real readings.

On real readings nobody knows the truth: every finding is counted as a false alarm, which is the worst it can be.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from meterlake.errors import UsageError
from meterlake.sources.ami import AMI
from meterlake.sources.delivery import files_of
from meterlake.sources.source import Source
from meterlake.vee.faults import LEAST_DAYS, Events, faults, put_in
from meterlake.vee.files import readings_of
from meterlake.vee.findings import Findings
from meterlake.vee.judge import series_from, validated
from meterlake.vee.rulebook import RULES
from meterlake.vee.series import Bools, Series


def recall(folder: Path, seed: int) -> tuple[str, str]:
    """Tables of Markdown for the readings and the truth that `meterlake generate --out FOLDER` wrote: of what the
    generator put in, and of the faults that are put in here, by `seed`, into the meters that it left alone.

    Raises:
        UsageError: the folder holds none.
    """
    truth = folder / "truth" / "anomalies.csv"
    if not truth.is_file():
        raise UsageError(f"{truth} is absent; write readings with their truth by `meterlake generate --out {folder}`.")
    readings = readings_of(sorted((folder / "readings").glob("*.csv")), AMI)
    series, meters = series_from(readings, AMI)
    found, _ = validated(series, AMI)
    events = _events(csv.read_csv(truth), series, meters)
    generated = "\n".join([_by_kind(events, found), "", _by_rule(events, found, series)])
    return generated, _by_fault(series, events, seed)


def alarms(path: str, source: Source) -> str:
    """A table of Markdown: findings per 1,000 meter-days of each rule, for the first half of the files and the others.

    The defaults were chosen by the first half.
    """
    files = [Path(file) for file in files_of(path)]
    halves = []
    for part in (files[: len(files) // 2], files[len(files) // 2 :]):
        series, _ = series_from(readings_of(part, source), source)
        halves.append((series, validated(series, source)[0]))
    head = [f"{len(s.meter)} meters, {len(s.row_day):,} meter-days" for s, _ in halves]
    lines = [f"| rule | chosen by: {head[0]} | others: {head[1]} |", "|---|---|---|"]
    for name, rule in RULES.items():
        cells = [f"{len(f[name]):,} ({1000 * len(f[name]) / len(s.row_day):.2f})" for s, f in halves]
        lines.append(f"| {rule.id} `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _events(table: pa.Table, series: Series, meters: pa.Array) -> Events:
    """The events of the truth file as intervals of the series."""
    number = {name: n for n, name in enumerate(meters.to_pylist())}
    of = {int(meter): n for n, meter in enumerate(series.meter)}
    kinds, begins, ends = [], [], []
    for row in table.to_pylist():
        at = of.get(number.get(row["meter_id"], -1))
        if at is None:
            continue
        first, last = series.bounds[at], series.bounds[at + 1]
        minutes = (
            int(row[name].timestamp() if hasattr(row[name], "timestamp") else 0) // 60 for name in ("start", "end")
        )
        begin, end = (first + -(-(minute - series.minute[first]) // series.interval_minutes) for minute in minutes)
        begin, end = max(begin, first), min(max(end, begin + 1), last)
        if begin < end:
            kinds.append(row["kind"])
            begins.append(begin)
            ends.append(end)
    return Events(np.array(kinds), np.array(begins), np.array(ends))


def _by_kind(events: Events, found: dict[str, Findings]) -> str:
    """Of the events of each kind, how many have a finding in their time, by which rule."""
    lines = ["| put in | events | found by any rule | by rule |", "|---|---|---|---|"]
    hits = {name: _touched(events, findings) for name, findings in found.items()}
    hits.pop("gap", None)  # where a gap happens to lie in an event, that finds nothing
    for kind in np.unique(events.kind):
        mine = events.kind == kind
        count = int(mine.sum())
        anyone = int(np.logical_or.reduce([hit[mine] for hit in hits.values()]).sum())
        by_rule = sorted(((int(hit[mine].sum()), name) for name, hit in hits.items()), reverse=True)
        told = ", ".join(f"{name} {n}" for n, name in by_rule if n)
        lines.append(f"| {kind} | {count} | {anyone} ({anyone / count:.0%}) | {told} |")
    return "\n".join(lines)


def _by_rule(events: Events, found: dict[str, Findings], series: Series) -> str:
    """Of the findings of each rule, how many lie in the time of an event; the others are false alarms."""
    head = f"of {len(series.meter):,} meters, {len(series.row_day):,} meter-days"
    lines = [f"| rule | findings {head} | in an event (precision) | others per 1,000 meter-days |", "|---|---|---|---|"]
    inside = _inside(events, series)
    for name, rule in RULES.items():
        precision, others = _precision(inside, found[name], series) if name != "gap" else ("-", "-")
        lines.append(f"| {rule.id} `{name}` | {len(found[name]):,} | {precision} | {others} |")
    return "\n".join(lines)


def _by_fault(series: Series, generated: Events, seed: int) -> str:
    """Of the faults of each kind, how many the rule about it found; of its findings, how many lie in any fault."""
    left_alone = np.setdiff1d(np.arange(len(series.meter)), series.number[generated.begin])
    long = np.diff(series.bounds) >= LEAST_DAYS * series.slots
    faulty, events = put_in(series, left_alone[long[left_alone]], seed)
    found, _ = validated(faulty, AMI)
    inside = _inside(events, faulty)
    lines = ["| put in | faults | found by | its findings | in a fault (precision) | others per 1,000 meter-days |"]
    lines.append("|---|---|---|---|---|---|")
    for fault in faults(series):
        mine, findings = events.kind == fault.rule, found[fault.rule]
        count, hit = int(mine.sum()), int(_touched(events, findings)[mine].sum())
        by = f"{RULES[fault.rule].id} `{fault.rule}` {hit} ({hit / max(count, 1):.0%})"
        precision, others = _precision(inside, findings, faulty)
        lines.append(f"| {fault.what} | {count} | {by} | {len(findings):,} | {precision} | {others} |")
    return "\n".join(lines)


def _inside(events: Events, series: Series) -> Bools:
    """(n,) the intervals in the time of an event."""
    return Findings(events.begin, events.end, np.zeros(len(events.begin)), np.zeros(len(events.begin))).mask(
        series.size
    )


def _precision(inside: Bools, findings: Findings, series: Series) -> tuple[str, str]:
    """How many findings lie in an event, and how many others there are per 1,000 meter-days."""
    count, right = len(findings), int(_holds(inside, findings).sum())
    told = f"{right:,} ({right / count:.0%})" if count else "-"
    return told, f"{1000 * (count - right) / len(series.row_day):.2f}"


def _touched(events: Events, findings: Findings) -> Bools:
    """(events,) whether a finding overlaps the event."""
    if not len(findings):
        return np.zeros(len(events.begin), dtype=bool)
    order = np.argsort(findings.begin)
    begin, end = findings.begin[order], np.maximum.accumulate(findings.end[order])
    before = np.searchsorted(begin, events.end)
    return np.asarray((before > 0) & (end[np.maximum(before - 1, 0)] > events.begin))


def _holds(mask: Bools, findings: Findings) -> Bools:
    """(findings,) whether one of their intervals is marked."""
    running = np.concatenate([[0], np.cumsum(mask)])
    return np.asarray(running[findings.end] > running[findings.begin])
