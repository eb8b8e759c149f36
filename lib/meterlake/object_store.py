"""An S3 object store as its three clients meet it: Spark's s3a, Arrow in driver and tasks, delta-rs in pages.

Where it is stands in `[s3]` of the settings, and each client is told the same. Keys stand in no setting, as Spark's
event log would keep them: every client looks for them where AWS's own tools do (environment, credentials file, role of
the pod or machine).
"""

import os
import socket
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

import pyarrow.fs

from meterlake.errors import LakeTaken, Unreachable
from meterlake.settings import S3_SCHEMES, Settings

OWNER = "_home"
S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
# The chain that Arrow's and delta-rs's clients follow, too; Hadoop's own lacks the credentials file and a pod's role.
CREDENTIALS = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"


def is_s3(path: str) -> bool:
    """Whether a path is a URI of an object."""
    return path.startswith(S3_SCHEMES)


def filesystem_of(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Arrow's file system of a URI, and the path there. What stands in the URI is a name as it is, not escaped."""
    inner = path.partition("://")[2]
    return _bucket(inner.partition("/")[0]), inner.rstrip("/")


def check(root: str) -> None:
    """Ask for the bucket of a lake once: Spark itself tries for minutes.

    Raises:
        Unreachable: the store does not answer, does not let us in, or has no such bucket.
    """
    filesystem, inner = filesystem_of(root)
    bucket = inner.partition("/")[0]
    try:
        there = filesystem.get_file_info(bucket).type != pyarrow.fs.FileType.NotFound
    except OSError as error:
        raise Unreachable(refusal(root, error)) from None
    if not there:
        raise Unreachable(f"{root}: the object store has no bucket {bucket}; make it, or correct [lake] root.")


def claim(settings: Settings) -> None:
    """Make the lake this home's at its first run, and let no other home in.

    Delta's log store for S3 is safe for one driver: of two that commit the same version, the second one replaces what
    the first has committed. A home lets one run in at a time (see run.py), so a lake must be of one home.

    Raises:
        LakeTaken: it is another home's.
        Unreachable: the store does not answer, or does not let us in.
    """
    check(settings.lake_root)
    mark = f"{settings.lake_root}/{OWNER}"
    filesystem, inner = filesystem_of(mark)
    try:
        if filesystem.get_file_info(inner).type == pyarrow.fs.FileType.NotFound:
            told = f"{settings.identity} {socket.gethostname()}:{settings.home} since {datetime.now(UTC):%Y-%m-%d}"
            with filesystem.open_output_stream(inner) as out:
                out.write(told.encode())
        with filesystem.open_input_stream(inner) as stream:
            identity, _, owner = stream.read().decode().partition(" ")
    except OSError as error:
        raise Unreachable(refusal(mark, error)) from None
    if identity != settings.identity:
        raise LakeTaken(settings.lake_root, owner, mark)


def refusal(path: str, error: OSError) -> str:
    """What an object store said, in one sentence."""
    said = str(error).partition("AWS Error ")[2].partition(". ")[0] or str(error).splitlines()[0]
    where = os.environ.get("AWS_ENDPOINT_URL_S3") or "AWS"
    return (
        f"{path} cannot be used, {where} says {said.rstrip('.')[:200]}; check [s3] of the settings and the keys "
        "(docs/scaling.md)."
    )


def spark_options(settings: Settings) -> dict[str, str]:
    """Settings of a session for s3a, and for the Arrow clients of its tasks."""
    options = {
        "spark.hadoop.fs.s3.impl": S3A,
        "spark.hadoop.fs.s3a.aws.credentials.provider": CREDENTIALS,
    }
    variables = settings.s3.variables
    if region := variables.get("AWS_REGION"):
        options["spark.hadoop.fs.s3a.endpoint.region"] = region
    if settings.s3.endpoint:
        options["spark.hadoop.fs.s3a.endpoint"] = settings.s3.endpoint
        options["spark.hadoop.fs.s3a.path.style.access"] = "true"
    return options | {f"spark.executorEnv.{name}": value for name, value in variables.items()}


def delta_rs_options(settings: Settings) -> dict[str, str]:
    """The `storage_options` of delta-rs for the lake."""
    if not is_s3(settings.lake_root):
        return {}
    options = {"AWS_FORCE_CREDENTIAL_LOAD": "true"}  # otherwise it leaves out the credentials file
    if settings.s3.endpoint:
        options |= {"AWS_ENDPOINT_URL": settings.s3.endpoint, "AWS_ALLOW_HTTP": "true"}
    return options | settings.s3.variables


@lru_cache
def _bucket(name: str) -> pyarrow.fs.FileSystem:
    """Kept, as a client takes 80 ms. Arrow finds the end point in the environment only when it is given a URI."""
    return pyarrow.fs.FileSystem.from_uri(f"s3://{quote(name)}")[0]
