"""Who logs in to a store to read, in which role, and of which regions."""

from meterlake.serving.endpoint import STORES, StoreName, section
from meterlake.settings import Login, Settings
from meterlake.text_tables import Lines


def logins(settings: Settings, store: StoreName) -> dict[str, Login]:
    """Every login of the store but the writer: the dashboards' reader and those of `[serving.logins]`."""
    return {section(settings, store).reader: Login(role="reader"), **settings.serving.logins}


def listed(settings: Settings) -> Lines:
    """The logins of both stores: role and regions."""
    each = {name: login for store in STORES for name, login in logins(settings, store).items()}
    regions = {
        name: "all" if login.regions is None else ", ".join(login.regions) or "none" for name, login in each.items()
    }
    return [("login", "role", "regions"), *((name, login.role, regions[name]) for name, login in each.items())]


def secret_name(settings: Settings, store: StoreName, name: str) -> str:
    """The name of a login's password for `Settings.secret`."""
    return f"{store}_reader" if name == section(settings, store).reader else f"{store}_{name}"
