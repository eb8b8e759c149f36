"""Superset's first user and its connection to ClickHouse, made or brought up to date: safe to run at every start.

Passwords come from the environment and stand in no command line. Superset keeps them hashed and encrypted.
"""

import os

from superset.app import create_app

ADMIN = "admin"
CONNECTION = "ClickHouse"
ADDRESS = os.environ.get("SUPERSET_CLICKHOUSE", "clickhousedb://analyst@clickhouse:8123/energy_analytics")


def admin(manager, password: str) -> None:
    """The user `admin` with this password."""
    if user := manager.find_user(username=ADMIN):
        manager.reset_password(user.id, password)
    else:
        manager.add_user(ADMIN, "Superset", "Admin", "admin@localhost", manager.find_role("Admin"), password=password)


def connection(session, password: str) -> None:
    """The reader's connection to ClickHouse."""
    from superset.models.core import Database  # only to be had inside of an application

    found = session.query(Database).filter_by(database_name=CONNECTION).one_or_none()
    database = found or Database(database_name=CONNECTION, expose_in_sqllab=True)
    user_and_host = ADDRESS.partition("@")
    database.set_sqlalchemy_uri(f"{user_and_host[0]}:{password}@{user_and_host[2]}")  # keeps the password apart
    session.add(database)
    session.commit()


def main() -> None:
    with create_app().app_context():
        from superset import db, security_manager

        admin(security_manager, os.environ["SUPERSET_ADMIN_PASSWORD"])
        connection(db.session, os.environ["CLICKHOUSE_READER_PASSWORD"])


if __name__ == "__main__":
    main()
