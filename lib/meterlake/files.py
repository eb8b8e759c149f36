"""Where files are, for those who read them without Spark."""

from pathlib import Path

import pyarrow.fs


def filesystem_of(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """The file system of a local path or a URI; Hadoop's `s3a` is Arrow's `s3`."""
    if "://" in path:
        return pyarrow.fs.FileSystem.from_uri(path.replace("s3a://", "s3://", 1))
    return pyarrow.fs.LocalFileSystem(), str(Path(path).absolute())
