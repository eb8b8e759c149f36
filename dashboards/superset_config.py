"""What Superset reads at its start (SUPERSET_CONFIG_PATH): all it keeps is in SUPERSET_HOME; it asks no other host.

The key that encrypts the stored passwords and signs the sessions is a file of that folder, or SUPERSET_SECRET_KEY.
"""

import logging
import os
from copy import deepcopy
from pathlib import Path

from superset.config import TALISMAN_CONFIG as DEFAULT_TALISMAN

_HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = os.environ.get("SUPERSET_SECRET_KEY") or (_HOME / "secret_key").read_text().strip()
SQLALCHEMY_DATABASE_URI = os.environ.get("SUPERSET_METADATA_URI") or f"sqlite:///{_HOME / 'superset.db'}?timeout=30"

# Charts of the same question within five minutes are answered from files; "Refresh" asks ClickHouse again.
DATA_CACHE_CONFIG = {
    "CACHE_TYPE": "FileSystemCache",
    "CACHE_DIR": str(_HOME / "cache" / "data"),
    "CACHE_DEFAULT_TIMEOUT": 300,
    "CACHE_THRESHOLD": 2000,
}
CACHE_CONFIG = DATA_CACHE_CONFIG | {"CACHE_DIR": str(_HOME / "cache" / "other")}

LOG_LEVEL = logging.WARNING
# The pages need none of the map, usage and image hosts that Superset allows by itself.
TALISMAN_CONFIG = deepcopy(DEFAULT_TALISMAN)
TALISMAN_CONFIG["content_security_policy"] |= {
    "img-src": ["'self'", "blob:", "data:"],
    "connect-src": ["'self'"],
}
SESSION_COOKIE_SAMESITE = "Lax"
FAB_ADD_SECURITY_API = True

# Colours that also colour-blind readers tell apart (Okabe and Ito), for what `label_colors` of a dashboard do not name.
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "meterlake",
        "label": "meterlake",
        "description": "Okabe and Ito, and what follows when more are needed",
        "isDefault": True,
        "colors": [
            *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A4C93", "#7F8C8D"),
            *("#8C564B", "#1B4965", "#A93226", "#117864", "#B7950B", "#5B2C6F", "#2E4053", "#BA4A00"),
        ],
    }
]
