"""Which files a delivery consists of."""

import re
from datetime import date
from pathlib import Path

import pyarrow.fs

from meterlake.errors import InputError, Unreachable, UsageError
from meterlake.files import filesystem_of
from meterlake.object_store import is_s3, refusal

NO_UTF_8 = re.compile(r"\\udc[89a-f][0-9a-f]")
DATE_IN_NAME = re.compile(r"(?<!\d)(20\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")


def files_of(given: str, first: date | None = None, last: date | None = None) -> list[str]:
    """The files behind a path, a folder, a glob or a URI, in the order of their names.

    Hidden files and those whose name begins with `_` are left out. With `first` or `last`, so are files whose name
    carries a date (2024-01-31 or 20240131) outside of that period.

    Raises:
        InputError: there is no such file.
        Unreachable: the object store does not answer, or does not let us in.
    """
    found = _remote(given) if "://" in given else _local(given)
    if not found:
        raise InputError(given, "no file is there", "check the path (a file, a folder or a quoted glob)")
    wanted = [path for path in found if _in_period(path, first, last)]
    if not wanted:
        raise InputError(given, f"none of its {len(found)} files is dated {first} to {last}", "check --from and --to")
    return wanted


def bytes_of(paths: list[str]) -> int:
    """Size of a delivery's files together; one that is gone since counts nothing."""
    filesystem, _ = filesystem_of(paths[0])
    return sum(info.size or 0 for info in filesystem.get_file_info([filesystem_of(path)[1] for path in paths]))


def _local(given: str) -> list[str]:
    path = Path(given).expanduser()
    if path.is_file():
        return [_named(path)]
    if path.is_dir():
        return sorted(_named(file) for file in path.rglob("*") if file.is_file() and _is_visible(file, path))
    anchor = Path(path.anchor or ".")
    try:
        matches = anchor.glob(str(path.relative_to(anchor) if path.anchor else path))
        return sorted(_named(file) for file in matches if file.is_file())
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"{given} is not a usable path ({error}); give a file, a folder or a glob.") from None


def _named(file: Path) -> str:
    """Its absolute path. A byte that is no UTF-8 becomes `\\udcff`, as neither Arrow nor Spark can open such a file."""
    return str(file.absolute()).encode(errors="backslashreplace").decode()


def _is_visible(file: Path, folder: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def _remote(given: str) -> list[str]:
    filesystem, inner = filesystem_of(given)
    scheme = given.split("://", 1)[0]
    try:
        info = filesystem.get_file_info(inner)
        if info.type == pyarrow.fs.FileType.File:
            return [given]
        found = filesystem.get_file_info(pyarrow.fs.FileSelector(inner, recursive=True, allow_not_found=True))
    except OSError as error:
        if not is_s3(given):
            raise
        raise Unreachable(refusal(given, error)) from None
    visible = [f for f in found if f.is_file and not f.base_name.startswith((".", "_"))]
    return sorted(f"{scheme}://{file.path}" for file in visible)


def _in_period(path: str, first: date | None, last: date | None) -> bool:
    if not (match := DATE_IN_NAME.search(path.rsplit("/", 1)[-1])):
        return True
    try:
        day = date(*map(int, match.groups()))
    except ValueError:
        return True
    return (first is None or day >= first) and (last is None or day <= last)


def meter_named_by(path: str) -> str:
    """The meter of a file without a meter column: the file's name without its endings."""
    return path.rsplit("/", 1)[-1].removesuffix(".gz").rsplit(".", 1)[0]
