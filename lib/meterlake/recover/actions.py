"""The recovery commands and their options; what they do (commands.py) is imported when one runs."""

import argparse

from meterlake.actions import Action, day, instant
from meterlake.settings import Settings


def _quarantine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "show", "release", "replay"))
    parser.add_argument("--source", help="name of a source or its TOML file; list and show: the name (default: all)")
    parser.add_argument("--rule", help="only lines that broke this rule")
    parser.add_argument("--meter", help="only lines of this meter")
    _add_period(parser)
    parser.add_argument("--line", nargs="+", metavar="FILE:LINE", help="only these lines, as `show` names them")
    parser.add_argument("--limit", type=int, default=20, help="show at most so many lines (default %(default)s)")
    _add_who(parser, required=False)


def _backfill_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of a source (see `meterlake sources`) or its TOML file")
    _add_period(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show what it would change in the marts")
    _add_who(parser, required=True)


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="name of the table, as in docs/data-dictionary.md")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--version", type=int, help="Delta version that was good")
    which.add_argument("--timestamp", type=instant, help="a time (UTC) at which it was good")
    _add_who(parser, required=True)


def _add_period(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", type=day, metavar="DATE", help="first local day (default: all)")
    parser.add_argument("--to", dest="last", type=day, metavar="DATE", help="last local day (default: all)")


def _add_who(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument("--reason", required=required, help="why; it is kept")
    parser.add_argument("--by", help="who asks for it (default: the login name)")
    parser.add_argument("--run-id", help="name of the run that several commands belong to")


def _quarantine(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.recover import commands

    return commands.quarantine(parsed, settings)


def _backfill(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.recover import commands

    return commands.backfilled(parsed, settings)


def _restore(parsed: argparse.Namespace, settings: Settings) -> str:
    from meterlake.recover import commands

    return commands.restored(parsed, settings)


ACTIONS = {
    "quarantine": Action(
        "list, show, release or replay lines that broke a rule or do not parse", _quarantine_arguments, _quarantine
    ),
    "backfill": Action("recompute a period from bronze with today's code", _backfill_arguments, _backfill),
    "restore": Action("make a table what it was at a version or time", _restore_arguments, _restore),
}
