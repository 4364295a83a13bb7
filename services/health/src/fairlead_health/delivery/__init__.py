"""Delivering alerts to notifiers outside of the bus, at least once, with a log."""
