"""All sources: the built-in ones and every TOML file in conf/sources or <home>/sources."""

from pathlib import Path

from pydantic import ValidationError

from meterlake.errors import UsageError
from meterlake.settings import PROJECT, Settings, first_problem, read_toml
from meterlake.sources.ami import AMI
from meterlake.sources.grid_supply import GRID_SUPPLY
from meterlake.sources.household_power import HOUSEHOLD_POWER
from meterlake.sources.nem12 import NEM12
from meterlake.sources.smart_meter import SMART_METER
from meterlake.sources.source import Source

BUILT_IN = (SMART_METER, HOUSEHOLD_POWER, AMI, GRID_SUPPLY, NEM12)


def sources(settings: Settings) -> dict[str, Source]:
    """Every source by name. A source in the home folder wins over one in conf, and that one over a built-in."""
    found = {source.name: source for source in BUILT_IN}
    for folder in (PROJECT / "conf" / "sources", settings.home / "sources"):
        for file in sorted(folder.glob("*.toml")):
            source = read_source(file)
            found[source.name] = source
    return found


def source_named(name: str, settings: Settings) -> Source:
    """The source of that name, or of that TOML file.

    Raises:
        UsageError: there is none, or its declaration has a mistake.
    """
    if name.endswith(".toml"):
        return read_source(Path(name))
    known = sources(settings)
    if name not in known:
        raise UsageError(
            f"No source is called {name!r}; choose one of {', '.join(sorted(known))}, "
            f"or declare it in {settings.home / 'sources' / (name + '.toml')}."
        )
    return known[name]


def supply_sources(settings: Settings) -> set[str]:
    """The sources that deliver the meters which other sources' feeders are measured by."""
    return {source.losses.supply_source for source in sources(settings).values() if source.losses}


def read_source(file: Path) -> Source:
    """A source from its TOML file; a mistake in it is named in one sentence."""
    try:
        return Source.model_validate(read_toml(file))
    except ValidationError as error:
        raise UsageError(f"{file}: {first_problem(error)}; correct the declaration and run again.") from None
