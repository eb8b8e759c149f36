"""The bug of docs/runbook.md, played from the first delivery to what stands on record.

    python -m tests.recover.bug_story FOLDER [--page docs/runbook.md]

Real commands on generated meters in a new folder, some minutes; the page shows what they answered. A source delivers Wh
and is declared in kWh, under the limits of another source: three days are published before anybody sees it.
"""

import argparse
import csv
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path

from meterlake import cli, generated_block
from meterlake.serving.endpoint import endpoint
from meterlake.serving.logins import secret_name
from meterlake.serving.postgres_binaries import binaries
from meterlake.settings import load

METERS, DAYS = 20, ("2024-01-01", "2024-01-02", "2024-01-03")
DECLARED = """\
name = "north"
description = "The northern valley, a file a day (meter,at,energy)"
interval_minutes = 15

[columns]
meter_id = "meter"
timestamp = "at"
value = "energy"
"""
WRONG = f"{DECLARED}\n[limits]\nconsumption_kwh = [0, 10000]   # as for the works next door\n"
MENDED = f'{DECLARED}\n[units]\nvalue = "Wh"\n'

Command = tuple[str, ...]


class Play:
    """A folder with deliveries and homes, and what the page shall show of the commands that were given in it.

    All commands are given in this process, which must stand in the folder: one start of Spark serves them.
    """

    def __init__(self) -> None:
        self.blocks: dict[str, list[str]] = {}
        self.told = StringIO()
        logging.getLogger("meterlake").addHandler(logging.StreamHandler(self.told))

    def meterlake(self, *command: str, block: str = "", shows: str = "") -> None:
        """Give the command, with what `shows` matches of its answer into the block, line by line."""
        self.told.seek(0)
        self.told.truncate()
        with redirect_stdout(self.told):
            code = cli.main(list(command))
        sys.stdout.write(f"{self.told.getvalue()}\n")
        if code:
            raise SystemExit(f"meterlake {_spelled(command)} ended with {code}")
        self._show(block, f"$ meterlake {_spelled(command)}", self.told.getvalue(), shows)

    def ask(self, statement: str, login: str, block: str) -> None:
        """The statement to PostgreSQL."""
        settings = load()
        store = endpoint(settings, "postgres")
        place = ("-h", store.host, "-p", str(store.port), "-U", login, store.database)
        password = {"PGPASSWORD": settings.secret(secret_name(settings, "postgres", login))}
        command = (str(binaries(None) / "psql"), *place, "-c", statement)
        asked = subprocess.run(command, env=os.environ | password, capture_output=True, text=True, check=True)
        sys.stdout.write(f"{asked.stdout}\n")
        self._show(block, statement, asked.stdout.rstrip(), ".")

    def _show(self, block: str, command: str, answer: str, shows: str) -> None:
        if block:
            told = self.blocks.setdefault(block, [])
            told += [command, *_shortened(answer.splitlines(), shows), ""]


def _spelled(command: Command) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in command)


def _shortened(lines: list[str], shows: str) -> Iterator[str]:
    """The lines that `shows` matches; others, however many in a row, as three dots. Blank ones are left out."""
    left_out = False
    for line in filter(str.strip, lines):
        shown = re.search(shows, line)
        if shown or not left_out:
            yield line.rstrip() if shown else "..."
        left_out = not shown


def play() -> dict[str, str]:
    """What happened in this folder, by block."""
    played, home = Play(), Path("home")
    os.environ["METERLAKE_HOME"] = str(home)
    declaration = home / "sources" / "north.toml"
    declaration.parent.mkdir(parents=True)
    played.meterlake("generate", "--out", "made", "--meters", str(METERS), "--days", str(len(DAYS)))
    deliver_in_wh()

    declaration.write_text(WRONG)
    played.meterlake("stores", "start")
    try:
        for day in DAYS:
            command = ("run", "--source", "north", "--input", "in", "--from", day, "--to", day)
            played.meterlake(*command, block="published" if day == DAYS[-1] else "", shows=RUN)
        played.ask(BY_DAY, READER, block="seen")
        declaration.write_text(MENDED)
        why = ("--source", "north", "--from", DAYS[0], "--to", DAYS[-1], "--reason", "north delivers Wh", "--by", "ann")
        played.meterlake("backfill", *why, "--dry-run", block="rehearsed", shows=RECOVERY)
        played.meterlake("backfill", *why, block="backfilled", shows=RECOVERY)
        played.meterlake("run", "--source", "north", "--input", "in", "--retrain", block="retrained", shows=RUN)
        played.ask(BY_DAY, READER, block="mended")
        for statement in (RECOVERIES, CHANGES):
            played.ask(statement, AUDITOR, block="recorded")
    finally:
        played.meterlake("stores", "stop")
    return {name: "\n".join(lines).rstrip() for name, lines in played.blocks.items()}


# Which lines of an answer the page shows: not the seconds, nor paths of this machine.
RUN = r"expectations of|readings are flagged \(|^  [\d,]+ lines: "
RECOVERY = r"^(run-|mart |mart_\w+ +\d{4}-|Dry run)|lines judged again|readings are flagged \(|or train again"
READER, AUDITOR = "meterlake_reader", "meterlake_auditor"
BY_DAY = """\
SELECT period_start_local, count(*) AS meters, round(avg(consumption_kwh)) AS kwh_per_meter,
       max(peak_power_kw) AS peak_kw
FROM marts.mart_consumption_metrics WHERE source = 'north' AND period = 'day' GROUP BY 1 ORDER BY 1;"""
RECOVERIES = """\
SELECT kind, first_day, last_day, reason, requested_by, status, figures->'lines' AS lines,
       figures->'corrections' AS corrected
FROM ops.recoveries;"""
CHANGES = """\
SELECT mart, count(*) AS days, sum(rows_added) AS added, sum(rows_removed) AS removed, sum(rows_changed) AS changed
FROM ops.recovery_diffs GROUP BY 1 ORDER BY 1;"""


def deliver_in_wh() -> None:
    """The generated days as another head-end system would send them: three columns, Wh."""
    Path("in").mkdir()
    for day in DAYS:
        (made,) = Path("made", "readings").glob(f"*{day}*.csv")
        with made.open(newline="") as given, Path("in", f"north-{day}.csv").open("w", newline="") as out:
            rows = csv.reader(given)
            next(rows)
            sent = csv.writer(out, lineterminator="\n")
            sent.writerow(("meter", "at", "energy"))
            sent.writerows((meter, at, f"{1000 * Decimal(kwh):.1f}") for meter, at, kwh, *_ in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new folder for deliveries and homes")
    generated_block.add_argument(parser)
    given = parser.parse_args()
    page = given.page and given.page.absolute()
    given.folder.mkdir(parents=True)
    os.chdir(given.folder)
    for name, told in play().items():
        generated_block.write(page, f"bug {name}", f"```\n{told}\n```")


if __name__ == "__main__":
    main()
