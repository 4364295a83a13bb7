"""Drills: a stack under steady load is hurt on purpose; what the callers saw is compared with what was promised."""
