"""Stores behind ports: SQLite, spool, migrations."""
