"""Metrics of every call into Postgres, rollups, pairwise comparison, reports."""
