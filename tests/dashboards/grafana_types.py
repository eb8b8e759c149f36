"""A dashboard beside the types that Grafana Labs generates from Grafana's schema.

Their Python classes drop a field that they do not know and take any value without a word. So what came through them is
compared with what was given, and each value with the type that its field has.
"""

import json
from enum import Enum
from typing import Any, get_type_hints

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import ConfigDict, TypeAdapter, ValidationError

# They are not made into objects there, only kept.
KEPT_AS_THEY_ARE = {"transformations"}

register_default_plugins()


def faults(board: dict[str, Any]) -> list[str]:
    """Where the dashboard has a field that is unknown, or a value that its field does not take."""
    read = Dashboard.from_json(board)
    return _mistyped(read) + _lost(board, json.loads(json.dumps(read, cls=JSONEncoder)))


def _lost(given: Any, known: Any, at: str = "") -> list[str]:
    """Where something of `given` is not in `known`, which may have more: defaults."""
    if isinstance(given, dict) and isinstance(known, dict):
        there = [
            place for name in given.keys() & known.keys() for place in _lost(given[name], known[name], f"{at}.{name}")
        ]
        return there + [f"{at}.{name}" for name in given.keys() - known.keys()]
    if isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        pairs = enumerate(zip(given, known, strict=True))
        return [place for number, (one, other) in pairs for place in _lost(one, other, f"{at}.{number}")]
    return [] if given == known else [at]


def _mistyped(value: Any, at: str = "") -> list[str]:
    """Where an attribute is not of its class's type."""
    if isinstance(value, list):
        return [place for number, one in enumerate(value) for place in _mistyped(one, f"{at}.{number}")]
    if isinstance(value, Enum) or not type(value).__module__.startswith("grafana_foundation_sdk.models"):
        return []
    found = []
    for name, kind in get_type_hints(type(value)).items():
        if name not in KEPT_AS_THEY_ARE:
            place, attribute = f"{at}.{name}", getattr(value, name)
            found += _mistyped(attribute, place) if _is_of(attribute, kind) else [place]
    return found


def _is_of(value: Any, kind: Any) -> bool:
    try:
        TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
        return True
    except ValidationError:
        return False
