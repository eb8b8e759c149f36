"""Where files are, for those who read them without Spark."""

from pathlib import Path

import pyarrow.fs

from meterlake import object_store


def filesystem_of(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """The file system of a local path or a URI, and the path there."""
    if object_store.is_s3(path):
        return object_store.filesystem_of(path)
    if "://" in path:
        return pyarrow.fs.FileSystem.from_uri(path)
    return pyarrow.fs.LocalFileSystem(), str(Path(path).absolute())
