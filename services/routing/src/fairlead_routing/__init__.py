"""Routing rules, strategies, the compiled route table, explain and dry-run."""
