"""How the files and log entries of a Delta table grow, day by day: a model of what a writer, Delta and upkeep do.

Every constant is measured on a real table (`learn`); the rules are Delta's:
- a checkpoint every `checkpoint_every` commits; it has a line for each live file and for each file that was removed in
  the last `kept_days` (Delta keeps such tombstones for 7 days);
- a checkpoint deletes the log entries that are older than `log_days`, as far as an older checkpoint does without them;
- OPTIMIZE leaves the files that hold the data in files of at most `target_bytes`; VACUUM deletes what was removed more
  than `kept_days` ago, and what it merged away stays that long on the disk.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

from meterlake.tables.store import CHECKPOINT_EVERY
from meterlake.tuning.commits import LOG, of_table

GIB = 2**30


@dataclass(frozen=True)
class Checkpoint:
    """Size of a checkpoint: `line_bytes` for each file that it lists, and `fixed_bytes` besides."""

    fixed_bytes: float
    line_bytes: float

    def bytes(self, files: float) -> float:
        return self.fixed_bytes + self.line_bytes * files


@dataclass(frozen=True)
class Daily:
    """What a day's run does to a table.

    Attributes:
        commits: versions.
        files: data files written, and `side` files beside them: change feed and deletion vectors.
        live: by how many files the table grows; files - live are removed again.
        bytes: of the data files written.
        entry_bytes: of a log entry, on average.
        action_bytes: of a line in it.
    """

    commits: float
    files: float
    side: float
    live: float
    bytes: float
    entry_bytes: float
    action_bytes: float
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Rules:
    """When what is cleaned. `optimize_every` 0 is no maintenance: neither OPTIMIZE nor VACUUM."""

    optimize_every: int = 0
    optimize_commits: float = 1.0
    checkpoint_every: int = CHECKPOINT_EVERY
    log_days: int = 30
    kept_days: int = 7
    target_bytes: float = 1 * GIB


@dataclass
class State:
    """A table after some days: numbers of files and entries, and bytes.

    Attributes:
        live: files of the newest version.
        disk: files in the folder, of old versions and beside the data included.
        entries, checkpoints: files in the log, a checksum for each entry aside.
        log_bytes: of both.
    """

    live: float = 0.0
    disk: float = 0.0
    data_bytes: float = 0.0
    commits: float = 0.0
    entries: list[tuple[int, float]] = field(default_factory=list)
    checkpoints: list[tuple[int, float, float]] = field(default_factory=list)  # day, number, bytes of each
    gone: list[tuple[int, float]] = field(default_factory=list)  # day, files removed then, still on the disk

    @property
    def entry_count(self) -> float:
        return sum(number for _, number in self.entries)

    @property
    def checkpoint_count(self) -> float:
        return sum(number for _, number, _ in self.checkpoints)

    def log_bytes(self, daily: Daily) -> float:
        return self.entry_count * daily.entry_bytes + sum(number * size for _, number, size in self.checkpoints)


def after(days: int, daily: Daily, rules: Rules, start: State | None = None) -> State:
    """The table after so many days of runs, from `start` (empty by default)."""
    state = deepcopy(start) if start else State()
    for day in range(1, days + 1):
        _run(state, day, daily)
        _checkpoint(state, day, daily.commits, daily, rules)
        if rules.optimize_every and day % rules.optimize_every == 0:
            _maintain(state, day, daily, rules)
    return state


def _run(state: State, day: int, daily: Daily) -> None:
    removed = daily.files - daily.live
    state.live += daily.live
    state.disk += daily.files + daily.side
    state.data_bytes += daily.bytes
    state.gone.append((day, removed + daily.side))
    state.entries.append((day, daily.commits))


def _checkpoint(state: State, day: int, commits: float, daily: Daily, rules: Rules) -> None:
    """The checkpoints that fall into these commits, and the clean-up that follows each."""
    before, state.commits = state.commits, state.commits + commits
    made = state.commits // rules.checkpoint_every - before // rules.checkpoint_every
    if made:
        _write_checkpoint(state, day, made, daily, rules)


def _write_checkpoint(state: State, day: int, number: float, daily: Daily, rules: Rules) -> None:
    tombstones = sum(files for when, files in state.gone if when > day - rules.kept_days)
    state.checkpoints.append((day, number, daily.checkpoint.bytes(state.live + tombstones)))
    old = [when for when, _, _ in state.checkpoints if when < day - rules.log_days]
    if old:  # what is older than the newest checkpoint that is itself too old
        newest = max(old)
        state.entries = [one for one in state.entries if one[0] > newest]
        state.checkpoints = [one for one in state.checkpoints if one[0] >= newest]


def _maintain(state: State, day: int, daily: Daily, rules: Rules) -> None:
    merged = max(1.0, -(-state.data_bytes // rules.target_bytes))
    if state.live > merged:
        state.gone.append((day, state.live))
        state.disk += merged
        state.live = merged
        state.entries.append((day, rules.optimize_commits))
        state.commits += rules.optimize_commits
    kept = [one for one in state.gone if one[0] > day - rules.kept_days]
    state.disk -= sum(files for _, files in state.gone) - sum(files for _, files in kept)
    state.gone = kept
    _write_checkpoint(state, day, 1, daily, rules)


def learn(folder: Path, since: int, until: int, days: int, checkpoint: Checkpoint) -> Daily:
    """What a day does to the table in this folder, from its commits after version `since` up to `until`."""
    commits = [one for one in of_table(folder) if since < one.version <= until]

    def a_day(name: str) -> float:
        return sum(getattr(one, name) for one in commits) / days

    actions = sum(one.actions for one in commits)
    return Daily(
        commits=len(commits) / days,
        files=a_day("files"),
        side=a_day("side"),
        live=a_day("live"),
        bytes=a_day("bytes"),
        entry_bytes=sum(one.log_bytes for one in commits) / max(1, len(commits)),
        action_bytes=sum(one.log_bytes for one in commits) / max(1, actions),
        checkpoint=checkpoint,
    )


def stands(folder: Path) -> State:
    """What really lies in a table's folder. Its `entries` and `checkpoints` are all of day 0."""
    commits = of_table(folder)
    checkpoints = [file.stat().st_size for file in (folder / LOG).glob("*.checkpoint*.parquet")]
    return State(
        live=sum(one.live for one in commits),
        disk=sum(1 for file in folder.rglob("*") if file.suffix in (".parquet", ".bin") and LOG not in file.parts),
        data_bytes=sum(one.bytes for one in commits),
        commits=float(len(commits)),
        entries=[(0, float(len(commits)))],
        checkpoints=[(0, float(len(checkpoints)), sum(checkpoints) / max(1, len(checkpoints)))],
    )


def scaled(daily: Daily, bytes_a_day: float, file_bytes: float) -> Daily:
    """The same commits a day with more data in them: as many files as `file_bytes` asks for, never fewer than now."""
    times = max(1.0, bytes_a_day / file_bytes / max(1.0, daily.files))
    more_actions = (times - 1) * (daily.files + daily.side) / max(1e-9, daily.commits)
    return replace(
        daily,
        files=daily.files * times,
        side=daily.side * times,
        live=daily.live * times,
        bytes=bytes_a_day,
        entry_bytes=daily.entry_bytes + more_actions * daily.action_bytes,
    )
