"""An object store for tests: moto's server on loopback, which lets nobody in without the right keys."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

REGION, BUCKET, LOG = "eu-central-1", "lake", "moto.log"
ALL_OF_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
# Requests that make the user; from then on moto verifies each signature.
UNSIGNED = 3


@dataclass(frozen=True)
class ObjectStore:
    """A store that is up, with one bucket.

    Attributes:
        keys: the file of AWS's own tools, which only its owner may read.
    """

    endpoint: str
    keys: Path
    secret: str
    client: Any
    log: Path

    @property
    def requests(self) -> int:
        """How many there have been."""
        return self.log.read_bytes().count(b"HTTP/1.1")

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use it. The machine's own service of roles is not asked."""
        return {
            "METERLAKE_S3_ENDPOINT": self.endpoint,
            "METERLAKE_S3_REGION": REGION,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.keys),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        """Make it that of this process, whatever keys the machine has."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        for name, value in self.environment.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL_S3", self.endpoint)
        patch.setenv("AWS_REGION", REGION)


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """One that lives as long as the block, with its log and its keys in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Its own module under this Python, so that the process is known and no other program of the name is started.
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(UNSIGNED)}
    with (folder / LOG).open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait_for(port, server)
        yield _with_bucket(f"http://127.0.0.1:{port}", folder)
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None, "moto ended; see its log"
        time.sleep(0.1)
    raise TimeoutError(f"moto does not listen on {port}")


def _with_bucket(endpoint: str, folder: Path) -> ObjectStore:
    to = {"endpoint_url": endpoint, "region_name": REGION}
    iam: Any = boto3.client("iam", aws_access_key_id="any", aws_secret_access_key="any", **to)
    iam.create_user(UserName="meterlake")
    iam.put_user_policy(UserName="meterlake", PolicyName="s3", PolicyDocument=json.dumps(ALL_OF_S3))
    made = iam.create_access_key(UserName="meterlake")["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    client: Any = boto3.client("s3", **keys, **to)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    file = folder / "keys"
    file.touch(mode=0o600)
    file.write_text("\n".join(["[default]", *(f"{name} = {value}" for name, value in keys.items())]) + "\n")
    return ObjectStore(endpoint, file, made["SecretAccessKey"], client, folder / LOG)
