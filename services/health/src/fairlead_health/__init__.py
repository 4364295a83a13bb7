"""Provider health: probes, windows, score, status, alerts."""
