"""The ledger as a picture: every line of the files, and where it went."""

import pandas as pd
import plotly.graph_objects as go

from meterlake.report.data import records
from meterlake.report.look import INK, MEASURED, MISSING, QUARANTINED, figure, number, short, shown, words

MOST_REASONS = 6
THINNEST = (
    0.04  # of all lines: thinner bands are drawn as wide as this, or nobody would see twelve lines in two million
)
LINKS = {MEASURED: "rgba(27,108,168,0.28)", MISSING: "rgba(150,161,173,0.35)", QUARANTINED: "rgba(221,143,0,0.38)"}


def reason_sets(reasons: pd.DataFrame, quarantined: int) -> list[tuple[str, int]]:
    """Lines by the set of reasons, so that each line counts once and the parts add up to `quarantined`."""
    named = [(" + ".join(map(words, row["reasons"])), int(row["lines"])) for row in records(reasons)]
    head = named[:MOST_REASONS]
    rest = quarantined - sum(lines for _, lines in head)
    return [*head, ("other reasons", rest)] if rest > 0 else head


def ledger_picture(ledger: dict[str, int], reasons: pd.DataFrame) -> go.Figure | None:
    """Lines -> loaded or unparsable -> current, repeated, superseded or quarantined -> reasons."""
    if not ledger.get("lines"):
        return None
    tree = _Tree(ledger["lines"])
    loaded = tree.grow(0, "Loaded", ledger["loaded"], MEASURED)
    tree.grow(loaded, "Current readings", ledger["current"], MEASURED)
    quarantined = tree.grow(loaded, "Quarantined", ledger["quarantined"], QUARANTINED)
    for name, lines in reason_sets(reasons, ledger["quarantined"]):
        tree.grow(quarantined, shown(short(name, 26)), lines, QUARANTINED)
    tree.grow(loaded, "Exact duplicates", ledger["exact_duplicates"], MISSING)
    tree.grow(loaded, "Superseded", ledger["superseded"], MISSING)
    tree.grow(0, "Unparsable", ledger["unparsable"], QUARANTINED)
    return tree.drawn()


class _Tree:
    """Nodes and links of the picture; a branch without lines is not drawn."""

    def __init__(self, lines: int) -> None:
        self.thinnest = THINNEST * lines
        self.labels, self.colours, self.counts = [f"Lines in the files<br>{number(lines)}"], [MEASURED], [lines]
        self.depths = [0]
        self.links: list[tuple[int, int]] = []

    def grow(self, parent: int, name: str, count: int, colour: str) -> int:
        if count <= 0:
            return parent
        self.labels.append(f"{name}<br>{number(count)}")
        self.colours.append(colour)
        self.counts.append(count)
        self.depths.append(self.depths[parent] + 1)
        self.links.append((parent, len(self.labels) - 1))
        return len(self.labels) - 1

    def width(self, node: int) -> float:
        """A leaf is as wide as its lines, or just visible; a branch is as wide as its leaves together."""
        children = [child for parent, child in self.links if parent == node]
        return sum(map(self.width, children)) if children else max(self.counts[node], self.thinnest)

    def drawn(self) -> go.Figure:
        parents = {parent for parent, _ in self.links}
        leaves = len(self.labels) - len(parents)
        chart = figure(max(220, 60 + 42 * leaves), margin={"l": 4, "r": 4, "t": 16, "b": 16})
        hover = {"hovertemplate": "%{label}<extra></extra>"}
        node = {
            "label": self.labels,
            "color": self.colours,
            "pad": 22,
            "thickness": 10,
            "line": {"width": 0},
            "align": "left",
        }
        link = {
            "source": [parent for parent, _ in self.links],
            "target": [child for _, child in self.links],
            "value": [self.width(child) for _, child in self.links],
            "color": [LINKS[self.colours[child]] for _, child in self.links],
            "hovertemplate": "%{target.label}<extra></extra>",
        }
        chart.add_sankey(
            arrangement="snap",
            textfont={"color": INK, "size": 12, "shadow": "none"},
            node=node | hover,
            link=link,
            # On a phone there is no room for the reasons' names; the table has them.
            meta={"few": [label if depth < 3 else "" for label, depth in zip(self.labels, self.depths, strict=True)]},
        )
        return chart
