"""docker-compose.yml as the tests read it: merged by YAML, its variables from .env.example with a secret for each."""

import importlib.util
import re
from functools import cache
from typing import Any

import yaml

from meterlake.settings import PROJECT

FILE = "docker-compose.yml"
EXAMPLE = (PROJECT / ".env.example").read_text()
# ${NAME}, ${NAME-default}, ${NAME:-default}, ${NAME:?sentence}: name, operator, default or sentence.
VARIABLE = re.compile(r"\$\{(\w+)(:?[-?])?([^}]*)\}")
# They end by themselves, so that health is nothing to ask for.
ONE_SHOT = {"airflow-init", "superset-init", "meterlake"}


@cache
def filled_example() -> str:
    """What `make compose-env` writes into .env."""
    spec = importlib.util.spec_from_file_location("new_env", PROJECT / "conf" / "compose" / "new_env.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.filled(EXAMPLE))


@cache
def environment() -> dict[str, str]:
    """The variables of such an .env."""
    return dict(line.split("=", 1) for line in filled_example().splitlines() if re.match(r"\w+=", line))


@cache
def loaded() -> dict[str, Any]:
    """The file with every variable replaced, as Compose does it: after reading, so that `2` stays a string."""
    made: dict[str, Any] = _replaced(yaml.safe_load((PROJECT / FILE).read_text()))
    return made


def _replaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one) for one in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: environment().get(found[1], found[3]), value).replace("$$", "$")
    return value


SERVICES: dict[str, dict[str, Any]] = loaded()["services"]
