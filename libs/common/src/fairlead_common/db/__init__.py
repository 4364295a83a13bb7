"""Postgres: the connection, the one Alembic history, and the outbox that ties events to transactions."""
