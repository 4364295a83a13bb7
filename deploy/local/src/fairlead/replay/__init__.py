"""Recorded outages, run through the code that decides live."""
