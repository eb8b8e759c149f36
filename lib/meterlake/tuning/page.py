"""The profile as a page: when each stage ran, how its tasks spread, and the table of costs."""

from html import escape
from pathlib import Path

import plotly.graph_objects as go

from meterlake.report.look import ANOMALY, FONT, INK, MEASURED, figure
from meterlake.tuning.events import Application
from meterlake.tuning.profile import COLUMNS, Cost

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:{font};color:{ink};max-width:1200px;margin:24px auto;padding:0 16px}}
table{{border-collapse:collapse;font-size:13px}}
td,th{{padding:4px 10px;text-align:right;border-bottom:1px solid #e4e9ee}}
td:first-child,th:first-child,td:last-child,th:last-child{{text-align:left}}tr:last-child{{font-weight:600}}
.wide{{overflow-x:auto}}</style>
<h1>{title}</h1><p>{about}</p><div class="wide">{table}</div>
<h2>When each stage ran</h2><p>A bar is a stage; red where its longest task took more than twice the median.</p>{chart}
</html>"""
SKEWED = 2.0


def write(application: Application, costs: list[Cost], page: Path) -> Path:
    """Write the page, which needs nothing from the network."""
    page.parent.mkdir(parents=True, exist_ok=True)
    about = f"{len(application.stages):,} stages in {application.jobs.total():,} jobs, from Spark's event log."
    chart = _stages(application).to_html(full_html=False, include_plotlyjs=True, config={"displayModeBar": False})
    text = PAGE.format(
        title=escape(f"Profile of {application.name}"),
        font=FONT,
        ink=INK,
        about=about,
        table=_table(costs),
        chart=chart,
    )
    page.write_text(text, encoding="utf-8")
    return page


def _table(costs: list[Cost]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    rows = ("".join(f"<td>{escape(show(cost))}</td>" for show in COLUMNS.values()) for cost in costs)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _stages(application: Application) -> go.Figure:
    """A bar per stage over time, a line per step."""
    begin = min((stage.submitted for stage in application.stages), default=0)
    steps = list(dict.fromkeys(stage.step for stage in application.stages))
    chart = figure(height=90 + 34 * len(steps), xaxis_title="seconds since the first stage", showlegend=False)
    chart.add_bar(
        orientation="h",
        y=[stage.step for stage in application.stages],
        base=[(stage.submitted - begin) / 1000 for stage in application.stages],
        x=[(stage.completed - stage.submitted) / 1000 for stage in application.stages],
        marker={
            "color": [ANOMALY if stage.skew > SKEWED else MEASURED for stage in application.stages],
            "line": {"color": "white", "width": 0.5},
        },
        customdata=[
            [
                stage.number,
                escape(stage.name),
                len(stage.task_ms),
                round(stage.skew, 1),
                round(stage.shuffle_written_bytes / 2**20, 1),
            ]
            for stage in application.stages
        ],
        hovertemplate="stage %{customdata[0]}: %{x:.2f} s, %{customdata[2]} tasks, skew %{customdata[3]}, "
        "shuffle %{customdata[4]} MiB<br>%{customdata[1]}<extra></extra>",
    )
    return chart.update_yaxes(categoryorder="array", categoryarray=steps[::-1])
