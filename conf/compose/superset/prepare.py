"""Superset's first user and our dashboards on ClickHouse, made or brought up to date: safe to run at every start.

Passwords come from the environment and stand in no command line. Superset keeps them hashed and encrypted.
"""

import os

from import_assets import Reader, import_assets  # dashboards/
from superset.app import create_app

ADMIN = "admin"


def admin(manager, password: str) -> None:
    """The user `admin` with this password."""
    if user := manager.find_user(username=ADMIN):
        manager.reset_password(user.id, password)
    else:
        manager.add_user(ADMIN, "Superset", "Admin", "admin@localhost", manager.find_role("Admin"), password=password)


def main() -> None:
    with create_app().app_context():
        from superset import security_manager

        admin(security_manager, os.environ["SUPERSET_ADMIN_PASSWORD"])
        password = os.environ["CLICKHOUSE_READER_PASSWORD"]
        import_assets(Reader("clickhouse", 8123, "energy_analytics", "meterlake_reader", password))


if __name__ == "__main__":
    main()
