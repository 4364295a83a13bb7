"""Benchmarks that a user can run: `fairlead bench routing`."""
