"""Results for people: a table on the screen, a page with plots, two commits side by side."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

OURS = "meterlake"
GATES = "validate_"


@dataclass(frozen=True)
class Ratio:
    """Another contender's seconds / ours, round by round: above 1 we are faster."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}..{self.most:.2f})"


def ratio(found: dict[str, Any], other: str, gates: bool = True) -> Ratio:
    """From paired rounds; without the time of our gates when `gates` is false."""
    pairs = zip(found["rounds"][other], found["rounds"][OURS], strict=True)
    ratios = [_seconds(theirs, gates) / _seconds(ours, gates) for theirs, ours in pairs]
    return Ratio(median(ratios), min(ratios), max(ratios))


def _seconds(measured: dict[str, Any], gates: bool = True) -> float:
    spent = 0.0 if gates else sum(s for name, s in measured["steps"].items() if name.startswith(GATES))
    return float(measured["seconds"]) - spent


def _typical(found: dict[str, Any], name: str, what: str) -> float:
    return median(float(measured[what]) for measured in found["rounds"][name])


def progress(text: str) -> None:
    print(text, flush=True)


def table(found: dict[str, Any], place: Path) -> None:
    """What every contender took, and the ratios."""
    readings, cores = found["workload"]["readings"], found["threads"]
    print(f"\n{found['workload']['name']}: {readings:,} readings, {cores} cores, commit {found['commit']}")
    described = found["machine"]
    print(
        f"{described['cpu']}, {described['cores']} cores, {described['ram_gib']} GiB, load before "
        f"{described['load_before'][0]}; " + ", ".join(f"{name} {v}" for name, v in found["versions"].items())
    )
    print(f"\n{'':<12}{'seconds':>9}{'spread':>17}{'CPU s':>9}{'readings/s/core':>17}{'peak GiB':>10}{'disk MiB':>10}")
    for name in found["rounds"]:
        seconds = [measured["seconds"] for measured in found["rounds"][name]]
        rate = readings / median(seconds) / cores
        print(
            f"{name:<12}{median(seconds):>9.1f}{f'{min(seconds):.1f}..{max(seconds):.1f}':>17}"
            f"{_typical(found, name, 'cpu_seconds'):>9.1f}{rate:>17,.0f}"
            f"{_typical(found, name, 'peak_bytes') / 2**30:>10.2f}"
            f"{_typical(found, name, 'bytes_on_disk') / 2**20:>10.1f}"
        )
    if "pandas" in found["rounds"]:
        print("pandas ran on a tenth of the meters; its figures are scaled.")
    _steps(found)
    _ratios(found)
    print(f"\n{place}\n{place.with_suffix('.html')}")


def _steps(found: dict[str, Any]) -> None:
    for name in found["rounds"]:
        steps = _typical_steps(found, name)
        print(f"\n{name}: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps.items()), end="")
    print()


def _typical_steps(found: dict[str, Any], name: str) -> dict[str, float]:
    rounds = found["rounds"][name]
    steps = {step: median(measured["steps"][step] for measured in rounds) for step in rounds[0]["steps"]}
    # What no step covers: the interpreter's start, imports, the end of the JVM.
    return steps | {"outside": max(0.0, _typical(found, name, "seconds") - sum(steps.values()))}


def _ratios(found: dict[str, Any]) -> None:
    if OURS not in found["rounds"]:
        return
    print(f"\n{'seconds of / ours':<20}{'whole':>22}{'without our gates':>22}")
    for other in found["rounds"]:
        if other != OURS:
            print(f"{other:<20}{ratio(found, other)!s:>22}{ratio(found, other, gates=False)!s:>22}")


def compared(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Two commits: ratios to the other contenders in their own runs, and the seconds of our steps."""
    print(f"\n{before['commit']} ({before['when']}) -> {after['commit']} ({after['when']})")
    if before["machine"]["cpu"] != after["machine"]["cpu"]:
        print("Other machines: only the ratios say something.")
    for name in after["rounds"]:
        if name not in before["rounds"]:
            print(f"{name:<18} is absent in {before['commit']}")
        elif name != OURS and OURS in after["rounds"] and OURS in before["rounds"]:
            print(f"{name:<18} / ours {ratio(before, name)!s:>20} -> {ratio(after, name)!s:>20}")
    if OURS in before["rounds"] and OURS in after["rounds"]:
        old, new = _typical_steps(before, OURS), _typical_steps(after, OURS)
        for step in dict.fromkeys([*old, *new]):
            print(f"{step:<18} {old.get(step, 0.0):>8.1f} s -> {new.get(step, 0.0):>8.1f} s")
        for what, unit in (("seconds", 1.0), ("cpu_seconds", 1.0), ("peak_bytes", 2**30), ("bytes_on_disk", 2**30)):
            print(
                f"{what:<18} {_typical(before, OURS, what) / unit:>8.2f} -> {_typical(after, OURS, what) / unit:>8.2f}"
            )


def page(found: dict[str, Any]) -> str:
    """Plots of seconds by step, memory and disk as one HTML page that needs no network."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    titles = ("Seconds by step", "Peak memory, GiB", "Kept on disk, GiB")
    figure = make_subplots(rows=1, cols=3, column_widths=[0.6, 0.2, 0.2], subplot_titles=titles)
    names = list(found["rounds"])
    for name in names:
        for step, seconds in _typical_steps(found, name).items():
            text = step if seconds > 0.05 * max(_typical(found, other, "seconds") for other in names) else ""
            label = f"{name}: {step} {seconds:.1f} s<extra></extra>"
            bar = go.Bar(x=[seconds], y=[name], orientation="h", text=text, hovertemplate=label, marker_line_width=1)
            figure.add_trace(bar, row=1, col=1)
    for column, what in ((2, "peak_bytes"), (3, "bytes_on_disk")):
        sizes = [_typical(found, name, what) / 2**30 for name in names]
        figure.add_trace(go.Bar(x=names, y=sizes, marker_color="#4c72b0"), row=1, col=column)
    figure.update_layout(
        barmode="stack",
        showlegend=False,
        template="plotly_white",
        title=f"{found['workload']['readings']:,} readings on {found['threads']} cores, commit {found['commit']}",
    )
    return str(figure.to_html(include_plotlyjs=True))
