"""Superset's settings in docker-compose.yml; libpq takes the password of its database from PGPASSWORD."""

import os

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ.get("SUPERSET_DATABASE", "postgresql+psycopg2://superset@postgres:5432/superset")
PREVENT_UNSAFE_DB_CONNECTIONS = True
# Superset listens on loopback without TLS; behind a proxy with TLS set both of these to true.
SESSION_COOKIE_SECURE = False
TALISMAN_ENABLED = False
WTF_CSRF_ENABLED = True
