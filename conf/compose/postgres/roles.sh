#!/bin/bash
# Roles and databases of docker-compose.yml, once, when PostgreSQL's volume is new. The writer and the reader of the marts
# get what serving/postgres_server.py gives them on a laptop; Airflow, MLflow and Superset own a database each.
set -euo pipefail

# psql takes the passwords from the environment: they stand in no command line, and log_statement is off by default.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
SET log_min_error_statement = panic;
\getenv etl POSTGRES_ETL_PASSWORD
\getenv reader POSTGRES_READER_PASSWORD
\getenv airflow AIRFLOW_DB_PASSWORD
\getenv mlflow MLFLOW_DB_PASSWORD
\getenv superset SUPERSET_DB_PASSWORD
CREATE ROLE meterlake_etl LOGIN PASSWORD :'etl';
CREATE ROLE analyst LOGIN PASSWORD :'reader';
CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE ROLE superset LOGIN PASSWORD :'superset';
CREATE DATABASE meterlake OWNER meterlake_etl;
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE superset OWNER superset;
REVOKE ALL ON DATABASE postgres, meterlake, airflow, mlflow, superset FROM PUBLIC;
GRANT CONNECT ON DATABASE meterlake TO analyst;
\connect meterlake
CREATE SCHEMA marts AUTHORIZATION meterlake_etl;
GRANT USAGE ON SCHEMA marts TO analyst;
ALTER DEFAULT PRIVILEGES FOR ROLE meterlake_etl IN SCHEMA marts GRANT SELECT ON TABLES TO analyst;
SQL
