"""Who may read what in the serving stores: made from the table declarations, and listed nowhere else.

A role reads relations, one for each mart that has something for it:

- reader: the mart as it is. For the dashboards, whose users go and look at a meter.
- analyst: sums over the meters of a feeder, at least `SMALLEST_GROUP` of them; of a mart that names no meter its rows.
- data_scientist: every row, with a pseudonym for what names a meter, the same in all marts and in both stores.
- auditor: no mart; what ran (ops) and who asked for what (the access log).
"""

from collections.abc import Callable
from typing import Literal, get_args

from meterlake.serving.ddl import columns, quoted
from meterlake.tables.catalog import MARTS, TABLES
from meterlake.tables.table import SMALLEST_GROUP, RegionsOf, Table
from meterlake.text_tables import Lines

Role = Literal["reader", "analyst", "data_scientist", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
# The roles that read views; the reader reads the marts themselves.
VIEW_ROLES: tuple[Role, ...] = ("analyst", "data_scientist")

ABOUT: dict[Role, str] = {
    "reader": "the marts as they are, meters included: dashboards, inspections",
    "analyst": f"sums over at least {SMALLEST_GROUP} meters of a feeder; no meter, no customer",
    "data_scientist": "every row of the marts, meters under a pseudonym",
    "auditor": "what ran (ops) and who asked for what (access log); no mart",
}

# How long a pseudonym is: among 100 million readings two share one with a chance of 3 in 10,000.
PSEUDONYM_DIGITS = 16
KEY = "pseudonym_key"
# Where in the grid: what sums are told by, beside the key.
PLACE = ("region", "feeder")
# How many meters a row of sums is about.
METERS = "meters"


def shown(table: Table, role: Role) -> list[str]:
    """The columns that a role sees of a mart; empty where it sees none of it."""
    if role == "auditor":
        return []
    if role == "analyst" and _named(table):
        sums = _sums(table)
        return [*_groups(table), METERS, *sums] if sums else []
    return table.names


def of_regions(table: Table, role: Role, within: str, relation: Callable[[Table], str]) -> str | None:
    """The condition of the rows that a login of some regions sees; None where it sees none of the mart. Both stores
    take it.

    Args:
        within: the store's condition on a column `region`.
        relation: the mart that tells the regions of others, as it is looked up in, quoted.
    """
    if "region" in shown(table, role):
        return within
    told = ((TABLES[each.mart], each) for each in regions_of(table))
    ways = [
        _found_in(relation(mart), each, within)
        for mart, each in told
        if {there for _, there in each.matching} <= set(shown(mart, role))
    ]
    return " OR ".join(ways) or None


def regions_of(table: Table) -> tuple[RegionsOf, ...]:
    return table.published.regions if table.published else ()


def told_by(mart: Table) -> list[Table]:
    """The marts whose rows find their regions in this one."""
    return [table for table in MARTS if any(each.mart == mart.name for each in regions_of(table))]


def select(table: Table, role: Role, relation: str, keys: str, pseudonym: Callable[[str], str]) -> str:
    """The query of the view that a role reads the mart by. Both stores take it.

    Args:
        relation: the mart, quoted.
        keys: the table of one row that holds the key, as `KEY`. It is joined: ClickHouse shows the value of a scalar
            subquery to whoever asks it to EXPLAIN the view.
        pseudonym: SQL of a pseudonym for a quoted column, made with `KEY`.
    """
    if role == "analyst" and _named(table):
        return _sums_of(table, relation)
    hidden = {column.name for column in table.columns if column.personal}
    each = [
        f"{pseudonym(quoted(name))} AS {quoted(name)}" if name in hidden else quoted(name)
        for name in shown(table, role)
    ]
    joined = f" CROSS JOIN {keys}" if role == "data_scientist" and hidden else ""
    return f"SELECT {', '.join(each)} FROM {relation}{joined}{_where(table)}"


def roles() -> Lines:
    """The roles, and what each may read in words."""
    return [("role", "may read"), *ABOUT.items()]


def marts() -> Lines:
    """What is seen of each mart through a view; the reader sees all of it, the auditor nothing."""
    return [("mart", *VIEW_ROLES), *((table.name, *(_in_words(table, role) for role in VIEW_ROLES)) for table in MARTS)]


def _found_in(relation: str, regions: RegionsOf, within: str) -> str:
    here, there = zip(*regions.matching, strict=True)
    found = f"({', '.join(here)}) IN (SELECT {columns(there)} FROM {relation} WHERE {regions.there} AND {within})"
    return f"({regions.where} AND {found})" if regions.where else found


def _sums_of(table: Table, relation: str) -> str:
    """Grouped in an inner query: ClickHouse takes the name of a sum, where it is a column's, for that column."""
    groups, meter = columns(_groups(table)), quoted(_named(table)[0])
    inner = ", ".join(f"sum({quoted(name)}) AS {quoted(f'{name}_sum')}" for name in _sums(table))
    outer = ", ".join(f"{quoted(f'{name}_sum')} AS {quoted(name)}" for name in _sums(table))
    counted = f"count(DISTINCT {meter}) AS {quoted(METERS)}"
    return (
        f"SELECT {groups}, {quoted(METERS)}, {outer} FROM "
        f"(SELECT {groups}, {counted}, {inner} FROM {relation}{_where(table)} GROUP BY {groups}) AS grouped "
        f"WHERE {quoted(METERS)} >= {SMALLEST_GROUP}"
    )


def _named(table: Table) -> list[str]:
    """Columns of the key that name a meter."""
    return [column.name for column in table.columns if column.personal and column.name in table.key]


def _groups(table: Table) -> list[str]:
    personal = {column.name for column in table.columns if column.personal}
    return [name for name in table.names if name not in personal and name in (*table.key, *PLACE)]


def _sums(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.adds_up]


def _where(table: Table) -> str:
    return f" WHERE NOT ({table.personal_rows})" if table.personal_rows else ""


def _in_words(table: Table, role: Role) -> str:
    seen = shown(table, role)
    if not seen:
        return "nothing"
    rows = f"; not where {table.personal_rows}" if table.personal_rows else ""
    if role == "analyst" and _named(table):
        return f"sums of {', '.join(_sums(table))} by {', '.join(_groups(table))}{rows}"
    hidden = [column.name for column in table.columns if column.personal]
    return (f"all, pseudonyms for {', '.join(hidden)}" if hidden else "all") + rows
