#!/bin/bash
# Roles and databases of docker-compose.yml, once, when PostgreSQL's volume is new. The writer and the logins that read
# get what serving/postgres_server.py gives them on a laptop, and what they may see when marts are published; Airflow,
# MLflow and Superset own a database each.
set -euo pipefail

# psql takes the passwords from the environment: they stand in no command line, and log_statement is off by default.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
SET log_min_error_statement = panic;
\getenv etl POSTGRES_ETL_PASSWORD
\getenv reader POSTGRES_READER_PASSWORD
\getenv analyst POSTGRES_METERLAKE_ANALYST_PASSWORD
\getenv data_scientist POSTGRES_METERLAKE_DATA_SCIENTIST_PASSWORD
\getenv auditor POSTGRES_METERLAKE_AUDITOR_PASSWORD
\getenv airflow AIRFLOW_DB_PASSWORD
\getenv mlflow MLFLOW_DB_PASSWORD
\getenv superset SUPERSET_DB_PASSWORD
CREATE ROLE meterlake_etl LOGIN PASSWORD :'etl';
CREATE ROLE meterlake_reader LOGIN PASSWORD :'reader';
CREATE ROLE meterlake_analyst LOGIN PASSWORD :'analyst';
CREATE ROLE meterlake_data_scientist LOGIN PASSWORD :'data_scientist';
CREATE ROLE meterlake_auditor LOGIN PASSWORD :'auditor';
ALTER ROLE meterlake_reader SET log_statement = 'all';
ALTER ROLE meterlake_analyst SET log_statement = 'all';
ALTER ROLE meterlake_data_scientist SET log_statement = 'all';
ALTER ROLE meterlake_auditor SET log_statement = 'all';
CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE ROLE superset LOGIN PASSWORD :'superset';
CREATE DATABASE meterlake OWNER meterlake_etl;
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE superset OWNER superset;
REVOKE ALL ON DATABASE postgres, meterlake, airflow, mlflow, superset FROM PUBLIC;
GRANT CONNECT ON DATABASE meterlake
  TO meterlake_reader, meterlake_analyst, meterlake_data_scientist, meterlake_auditor;
\connect meterlake
CREATE SCHEMA marts AUTHORIZATION meterlake_etl;
GRANT USAGE ON SCHEMA marts TO meterlake_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE meterlake_etl IN SCHEMA marts GRANT SELECT ON TABLES TO meterlake_reader;
SQL
