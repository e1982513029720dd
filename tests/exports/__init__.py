"""The treatments that hand tables on: CSV files, and a PostgreSQL server of the tests."""
