"""`meterlake anomaly rank`: the meters of a source by the champion that has learnt from inspections."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from meterlake.actions import Action
from meterlake.errors import NothingYet, UsageError
from meterlake.settings import Settings
from meterlake.text_tables import as_text

if TYPE_CHECKING:
    import pandas as pd

    from meterlake.anomaly.rank import Ranking


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of a source (see `meterlake sources`) or its TOML file")
    parser.add_argument("--first", type=int, default=20, help="show so many (default %(default)s)")
    parser.add_argument("--inspected", type=Path, metavar="FILE", help="leave out the meters of these inspections")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all of them to this file")


def _rank(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.anomaly import labels, registry
    from meterlake.sources.catalog import source_named

    if parsed.first < 1:
        raise UsageError("--first must be 1 or more.")
    source = source_named(parsed.source, settings)
    inspected = set(labels.read(parsed.inspected).meter) if parsed.inspected else set()
    champion = registry.champion(source.name, settings)
    if champion is None or champion.model.labelled is None:
        raise NothingYet(
            f"The champion of source {source.name} has learnt from no inspections; train one with "
            f"`meterlake train --source {source.name} --labels FILE`."
        )
    from meterlake.anomaly.rank import rank
    from meterlake.session import spark_session
    from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
    from meterlake.tables.stg_meters import STG_METERS
    from meterlake.tables.store import Store

    store = Store(spark_session(settings, f"meterlake anomaly rank {source.name}"), settings)
    daily, meters = (store.read(table, source.name) for table in (INT_READINGS_DAILY, STG_METERS))
    found = rank(daily, meters, champion.model.labelled, source.tells_hours)
    if found is None:
        raise NothingYet(f"Source {source.name} has no days yet; load some with `meterlake run`.")
    shown = found.meters[~found.meters["meter_id"].isin(inspected)].reset_index(drop=True)
    if parsed.csv:
        _write(shown, parsed.csv)
    return told(shown, found, f"{champion.label}: {champion.model.labelled.made.told}.", parsed.first)


def told(shown: "pd.DataFrame", found: "Ranking", by: str, first: int) -> str:
    """The first meters as a table, with who ranked them, and how many there are."""
    head = ("place", "meter", "probability", "days known", "what raises it")
    columns = (shown[name].head(first).tolist() for name in ("meter_id", "probability", "days", "reasons"))
    lines = [
        (f"{place}", meter, f"{probability:.1%}", f"{days}", reasons or "-")
        for place, (meter, probability, days, reasons) in enumerate(zip(*columns, strict=True), start=1)
    ]
    left = len(found.meters) - len(shown)
    count = f"{len(shown):,} meters are ranked by their days up to {found.last}"
    count += f"; {left:,} were inspected" if left else ""
    count += f"; of {found.unknown:,} too few days are known" if found.unknown else ""
    return "\n\n".join([by, as_text([head, *lines]), f"{count}."])


def _write(shown: "pd.DataFrame", file: Path) -> None:
    try:
        shown.to_csv(file, index=False)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written ({error.strerror}); name a file in a folder that is there."
        ) from None


ACTIONS = {"rank": Action("the meters by the chance that an inspection finds theft, and why", _arguments, _rank)}
