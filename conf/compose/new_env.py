"""`make compose-env`: .env from .env.example, with a new secret for every empty name. An .env that exists stays."""

import base64
import os
import re
import secrets
import sys
from pathlib import Path


def filled(example: str) -> str:
    """The text with a new secret behind every `NAME=` that has no value; one for Fernet has a form of its own."""
    return re.sub(r"^(\w+)=$", lambda found: f"{found[1]}={_secret(found[1])}", example, flags=re.MULTILINE)


def _secret(name: str) -> str:
    if name.endswith("FERNET_KEY"):
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(24)


def main(folder: Path) -> int:
    text = filled((folder / ".env.example").read_text(encoding="utf-8"))
    try:
        descriptor = os.open(folder / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(".env is there already and was left as it is; add what .env.example has and it lacks.\n")
        return 2
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    sys.stdout.write(".env is written, with new secrets, for you alone to read.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
