"""Every error a user can meet. Each builds its own sentence: what and where, then what to do next."""

from decimal import Decimal
from pathlib import Path


class MeterlakeError(Exception):
    """Base of all expected failures. The command line prints the sentence and ends with `exit_code`."""

    exit_code = 2


class UsageError(MeterlakeError):
    """The command, the configuration or a declaration is wrong."""


class NothingYet(MeterlakeError):
    """What is asked for has not been made yet; the sentence names the command that makes it."""


class InputError(MeterlakeError):
    """A delivered file cannot be read as its source declares it."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        self.path, self.problem, self.remedy = path, problem, remedy
        super().__init__(f"{path}: {problem}; {remedy}.")


class GateFailed(MeterlakeError):
    """A critical expectation failed: data are kept, marts are not published."""

    exit_code = 1


class LakeTaken(UsageError):
    """The lake in an object store is that of another home."""

    def __init__(self, root: str, owner: str, mark: str) -> None:
        self.root, self.owner = root, owner
        super().__init__(
            f"{root} is the lake of another home ({owner}), and two that write to it lose each other's commits; give "
            f"this home another [lake] root, or delete {mark} if that one is gone."
        )


class LedgerUnbalanced(MeterlakeError):
    """Readings in do not equal readings out: the run stops before its success marker."""

    exit_code = 1

    def __init__(self, balance: str, left: int | Decimal, right: int | Decimal) -> None:
        self.balance, self.left, self.right = balance, left, right
        super().__init__(
            f"Ledger does not balance: {balance} ({left:,} against {right:,}); nothing was published. "
            "Run the same command again; if it stays, keep the home folder and report it."
        )


class Unreachable(MeterlakeError):
    """A store, the cluster or the home folder cannot be used now; the same command may succeed later."""

    exit_code = 3


class HomeBusy(Unreachable):
    """Another run holds the home folder."""

    def __init__(self, home: Path, holder: str) -> None:
        self.home, self.holder = home, holder
        super().__init__(f"{home} is in use by {holder}; wait for it to end or choose another folder with --home.")


class Overtaken(Unreachable):
    """Somebody else wrote to a table between our look at its rows and our commit."""

    def __init__(self, table: str, version: int) -> None:
        self.table, self.version = table, version
        super().__init__(
            f"{table} got a version after {version} while rows of it were exchanged; nothing was written, run it again."
        )
