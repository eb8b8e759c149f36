"""The command line: `meterlake STEP ...`. Parses, calls one function, and turns errors into one sentence."""

import argparse
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meterlake import __version__, generated_block
from meterlake.actions import Action, day
from meterlake.errors import MeterlakeError, Unreachable, UsageError
from meterlake.recover import actions as recovery
from meterlake.settings import Settings, load
from meterlake.sources.catalog import sources
from meterlake.text_tables import as_markdown, as_text

log = logging.getLogger("meterlake")

STEPS = {
    "check_source": "look at the delivered files without loading them",
    "ingest": "delivered files -> bronze",
    "stage": "bronze -> current readings, quarantine and ledger",
    "vee": "current readings -> findings of the VEE rules, estimates and edits",
    "aggregate": "readings -> hours, days, months and features",
    "validate": "judge a layer with Great Expectations (--suite)",
    "train": "fit the anomaly model and make it champion",
    "score": "features -> anomaly scores by the champion",
    "marts": "days, hours and scores -> marts",
    "publish": "marts -> PostgreSQL and ClickHouse",
    "forecast": "hours -> load a day and a week ahead, per region and feeder",
    "report": "write the report page of the last run",
}
SUITES = ("raw_readings", "staging_readings", "marts_metrics")
# How a file system, whoever reports it, says that it takes no more.
FULL = ("No space left on device", "Disk quota exceeded")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 done, 1 a gate failed, 2 bad usage or input, 3 something is unreachable."""
    parsed = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.DEBUG if parsed.debug else logging.INFO)
    settings = None
    try:
        settings = load(parsed.conf, parsed.home)
        return int(parsed.command(parsed, settings) or 0)
    except MeterlakeError as error:
        log.error("meterlake: %s", error)
        if parsed.debug:
            raise
        return error.exit_code
    except KeyboardInterrupt:
        log.error("meterlake: interrupted; run the same command again to go on.")
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if parsed.debug:
            raise
        known = _unexpected(error, settings)
        log.error("meterlake: %s", known)
        return known.exit_code


def _unexpected(error: Exception, settings: Settings | None) -> MeterlakeError:
    """What the file system did to us in one sentence, else the line that tells what happened."""
    first = _telling_line(str(error))
    if any(reason in str(error) for reason in FULL):
        left = f" ({_left(settings.home)})" if settings else ""
        return Unreachable(f"The disk is full{left}; free some space and run the same command again, nothing is lost.")
    if "Permission denied" in str(error) or "Read-only file system" in str(error):
        return Unreachable(f"A folder cannot be written ({first[:200]}); make it writable or choose another --home.")
    return MeterlakeError(f"{type(error).__name__}: {first[:300]} (run again with --debug for the whole story)")


def _telling_line(said: str) -> str:
    """The first line; of an error in a Spark task the one that ends its Python trace, which stands amid Java's."""
    *_, python = said.split("Traceback (most recent call last):\n")
    lines = [line for line in python.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(" ")), "")


def _left(home: Path) -> str:
    """How much space the home folder's disk has left, in words."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    return f"{shutil.disk_usage(there).free / 1e6:,.1f} MB are left for {home}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="meterlake", description="From meter files to scored marts.")
    parser.add_argument("--version", action="version", version=f"meterlake {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, does: Callable[[argparse.Namespace, Settings], int | None], about: str, among: Any = commands
    ) -> argparse.ArgumentParser:
        sub = among.add_parser(name, help=about, description=about)
        sub.add_argument(
            "--home", type=Path, help="folder that holds all state (default: METERLAKE_HOME or .meterlake)"
        )
        sub.add_argument("--conf", type=Path, help="settings file over conf/default.toml")
        sub.add_argument("--debug", action="store_true", help="show stack traces")
        sub.set_defaults(command=does, name=name)
        return sub

    _add_delivery(command("run", _run, "every step on a delivery, in one Spark session"))
    for name, about in STEPS.items():
        step = command(name, _step, about)
        if name in ("check_source", "ingest"):
            _add_delivery(step)
        else:
            _add_source(step)
        if name == "validate":
            step.add_argument("--suite", choices=SUITES, required=True)
        if name == "train":
            _add_train(step)
        if name == "vee":
            _add_vee(step, command)
        if name == "forecast":
            _add_forecast(step, command)
    maintain = command("maintain", _maintain, "merge small files, delete those of old versions; no row changes")
    maintain.add_argument("--keep-hours", type=_hours, default=168, help="how long old versions stay (default 168)")
    command("status", _status, "rows, last runs, ledger, gates and stores").add_argument("--json", action="store_true")
    _add_stores(command("stores", _stores, "PostgreSQL and ClickHouse: start, stop, addresses, who may read what"))
    profile = command("profile", _profile, "what each step of a run cost, from Spark's event log")
    profile.add_argument("log", nargs="?", type=Path, help="event log (default: the newest of the home folder)")
    profile.add_argument("--against", type=Path, metavar="LOG", help="another run's event log, to compare with")
    profile.add_argument("--html", type=Path, metavar="FILE", help="write a page with the stages over time, too")
    _add_pages(command)
    _add_actions(recovery.ACTIONS, command, commands)
    _add_measures(commands, command)
    command("sources", _sources, "the declared sources")
    from meterlake.sources import generate

    generate.add_arguments(command("generate", _generate, "write sample meter files with a truth file beside them"))
    return parser


def _add_pages(command: Callable[..., argparse.ArgumentParser]) -> None:
    """What serves pages until Ctrl-C."""
    ui = command("ui", _ui, "local pages: meters, readings, anomalies, quarantine and lineage, until Ctrl-C")
    ui.add_argument("--port", type=int, default=8090, help="on 127.0.0.1, or the next free one (default %(default)s)")
    metrics = command("metrics", _metrics, "a page for Prometheus about runs, lake, stores and machine, until Ctrl-C")
    metrics.add_argument("--host", default="127.0.0.1", help="another one inside of a container only")
    metrics.add_argument("--port", type=int, default=8091, help="exactly this one (default %(default)s)")
    metrics.add_argument("--once", action="store_true", help="write the page to the screen instead")
    history = command("spark-ui", _spark_ui, "Spark's own pages about the runs of this home, until Ctrl-C")
    history.add_argument("--port", type=int, default=18080, help="on 127.0.0.1 (default %(default)s)")


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of a source (see `meterlake sources`) or its TOML file")
    parser.add_argument("--run-id", help="name of the run that several commands belong to")


def _add_delivery(parser: argparse.ArgumentParser) -> None:
    _add_source(parser)
    parser.add_argument("--input", required=True, help="file, folder, quoted glob or URI")
    parser.add_argument("--meter", help="name of the meter, where the files do not hold it (default: the file's name)")
    parser.add_argument(
        "--from", dest="first", type=day, metavar="DATE", help="only files dated from here in their name"
    )
    parser.add_argument("--to", dest="last", type=day, metavar="DATE", help="only files dated up to here")
    parser.add_argument("--retrain", action="store_true", help="fit a new model although there is a champion")


def _add_stores(stores: argparse.ArgumentParser) -> None:
    about = "roles tells who may read what, grant applies it to the marts that are there; the others are about servers"
    stores.add_argument("action", choices=("start", "stop", "status", "roles", "grant"), help=about)
    stores.add_argument("--json", action="store_true", help="addresses for a program")
    generated_block.add_argument(stores)


def _add_train(step: argparse.ArgumentParser) -> None:
    which = step.add_mutually_exclusive_group()
    which.add_argument("--if-none", action="store_true", help="only when the source has no champion yet")
    which.add_argument("--challenger", action="store_true", help="leave the champion; see `meterlake model`")
    step.add_argument(
        "--labels", type=Path, metavar="FILE", help="CSV of past inspections (meter_id, date, theft) to learn from, too"
    )


def _add_vee(step: argparse.ArgumentParser, command: Callable[..., argparse.ArgumentParser]) -> None:
    """What can be done with VEE beside its step: `meterlake vee ACTION`."""
    from meterlake.vee import commands

    actions = _actions_instead_of(step)
    _add_actions(commands.ACTIONS, command, actions)
    _add_evaluation(command("evaluate", _vee_evaluate, "mask known readings, estimate them, compare", actions))
    pictures = command("pictures", _vee_pictures, "draw days of generated meters before and after estimation", actions)
    pictures.add_argument("--out", type=Path, required=True, help="folder for the PNG files")


def _add_forecast(step: argparse.ArgumentParser, command: Callable[..., argparse.ArgumentParser]) -> None:
    """What the step forecasts, and `meterlake forecast ACTION` beside it."""
    from meterlake.forecast import commands

    commands.add_levels(step)
    _add_actions(commands.ACTIONS, command, _actions_instead_of(step))


def _actions_instead_of(step: argparse.ArgumentParser) -> Any:
    """Where the actions of a step's command are added."""
    for option in step._actions:
        option.required = option.required and option.dest != "source"  # an action may do without
    return step.add_subparsers(metavar="ACTION", help="instead of the step, which asks for --source:")


def _add_measures(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """`meterlake anomaly ACTION`, and those of `model`, `losses` and `outages`."""
    from meterlake.anomaly import commands as model
    from meterlake.anomaly import rank_commands as rank
    from meterlake.anomaly.evaluation import commands as anomaly
    from meterlake.losses import commands as losses
    from meterlake.outages import commands as outages

    for name, about, actions in (
        ("anomaly", "how good the anomaly detection is, and which meters to inspect", anomaly.ACTIONS | rank.ACTIONS),
        ("model", "which anomaly model scores: list, promote, roll back", model.ACTIONS),
        ("losses", "how good the list of suspects is", losses.ACTIONS),
        ("outages", "how well outages are told from meters that are alone", outages.ACTIONS),
    ):
        among = commands.add_parser(name, help=about).add_subparsers(required=True, metavar="ACTION")
        _add_actions(actions, command, among)


def _add_actions(actions: dict[str, Action], command: Callable[..., argparse.ArgumentParser], among: Any) -> None:
    def does(parsed: argparse.Namespace, settings: Settings) -> None:
        print(actions[parsed.name].does(parsed, settings))

    for name, action in actions.items():
        action.add_arguments(command(name, does, action.about, among))


def _add_evaluation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="name of a source (see `meterlake sources`) or its TOML file")
    parser.add_argument("--input", required=True, nargs="+", help="files, folders or quoted globs")
    parser.add_argument("--seed", type=int, default=1, help="other gaps for another seed (default %(default)s)")
    parser.add_argument("--gaps-per-meter", type=int, default=50, help="of each length, at most (default %(default)s)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="page whose generated table is replaced")


def _hours(text: str) -> int:
    """A week at least: a step reads what changed since its own last run, and a retry must still find it."""
    if not text.isdigit() or int(text) < 168:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of hours, 168 or more")
    return int(text)


def _run(parsed: argparse.Namespace, settings: Settings) -> int:
    from meterlake.pipeline import whole_run

    return whole_run(parsed, settings)


def _step(parsed: argparse.Namespace, settings: Settings) -> int:
    from meterlake.pipeline import one_step

    if not parsed.source:
        raise UsageError(
            f"meterlake {parsed.name}: name the source of the step by --source, or an action (see --help)."
        )
    return one_step(parsed, settings)


def _maintain(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.maintain import maintain

    log.info("%d files fewer.", maintain(settings, parsed.keep_hours))


def _status(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.status import status, told

    found = status(settings)
    print(json.dumps(found, indent=2, default=str) if parsed.json else told(found))


def _stores(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.serving import embedded
    from meterlake.serving.endpoint import reader_of

    if parsed.action == "roles":
        print(_roles(parsed.page, settings))
        return
    if parsed.action == "grant":
        embedded.grant(settings)
        return
    endpoints = {"start": embedded.start, "stop": embedded.stop, "status": embedded.status}[parsed.action](settings)
    if parsed.json:
        print(json.dumps([reader_of(store, settings) for store in endpoints or ()], indent=2))
        return
    for store in endpoints or ():
        state = "up" if store.running else "down"
        password = reader_of(store, settings)["password_file"]
        print(f"{store.title:<11} {state:<5} {store.jdbc_url}  reader {store.reader}, password in {password}")


def _roles(page: Path | None, settings: Settings) -> str:
    """Who may read what of both stores, from the declarations and the configuration."""
    from meterlake.governance import access
    from meterlake.serving.logins import listed

    told = [access.roles(), access.marts()]
    generated_block.write(page, "roles", "\n\n".join(map(as_markdown, told)))
    return "\n\n".join(map(as_text, [listed(settings), *told]))


def _sources(parsed: argparse.Namespace, settings: Settings) -> None:
    for name, source in sorted(sources(settings).items()):
        print(f"{name:<18} {source.interval_minutes:>4} min  {source.time_zone:<16} {source.description}")


def _profile(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.tuning import events, page, profile

    newest = events.logs(settings.folder("logs") / "spark-events")
    if parsed.log is None and not newest:
        raise UsageError(f"{settings.home} has no event log yet; run a step, or name a log.")
    application = events.read(parsed.log or newest[-1])
    costs = profile.costs(application)
    print(
        profile.compared(costs, profile.costs(events.read(parsed.against))) if parsed.against else profile.table(costs)
    )
    if parsed.html:
        print(page.write(application, costs, parsed.html).resolve().as_uri())


def _spark_ui(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.tuning import history

    logs = settings.folder("logs")
    history.serve(
        logs / "spark-events",
        parsed.port,
        logs / "history-server.log",
        lambda address: print(f"{address} shows the runs of {settings.home}; Ctrl-C ends it.", flush=True),
    )


def _metrics(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.metrics.serve import once, serve

    if parsed.once:
        print(once(settings), end="")
    else:
        serve(settings, parsed.host, parsed.port, lambda page: log.info("%s shows the measurements.", page))


def _ui(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.ui.serve import serve

    serve(
        settings,
        parsed.port,
        lambda address: print(f"{address} opens {settings.home} once, in one browser; Ctrl-C ends it.", flush=True),
    )


def _vee_evaluate(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.sources.catalog import source_named
    from meterlake.sources.delivery import files_of
    from meterlake.vee import evaluate_table as table
    from meterlake.vee.delivered import read_series
    from meterlake.vee.evaluate import evaluate

    if parsed.gaps_per_meter < 1 or parsed.seed < 0:
        raise UsageError("--gaps-per-meter must be 1 or more and --seed 0 or more.")
    source = source_named(parsed.source, settings)
    meters = read_series([file for given in parsed.input for file in files_of(given)], source)
    scores = evaluate(meters, source.interval_minutes, source.country, parsed.seed, parsed.gaps_per_meter)
    if not scores:
        raise UsageError("No meter has readings enough to mask some of them; deliver some weeks of readings.")
    print(table.as_text(scores), table.verdict(scores), sep="\n\n")
    if parsed.markdown:
        options = f"--source {source.name} --seed {parsed.seed} --gaps-per-meter {parsed.gaps_per_meter}"
        made_by = f"`meterlake vee evaluate {options}` on {len(meters):,} meters. {table.verdict(scores)}"
        table.write_block(parsed.markdown, f"{made_by}\n\n{table.as_markdown(scores)}\n\n{table.settings()}")


def _vee_pictures(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.vee.pictures import draw

    for file in draw(parsed.out):
        print(file)


def _generate(parsed: argparse.Namespace, settings: Settings) -> None:
    from meterlake.session import spark_session
    from meterlake.sources import generate

    made = generate.from_arguments(spark_session(settings, "meterlake generate"), parsed)
    print(generate.told(made, parsed.out.rstrip("/"), settings.home))


if __name__ == "__main__":
    sys.exit(main())
