"""What routing decides about rules: what changed, what can work, and what would have become of past calls. Pure."""
