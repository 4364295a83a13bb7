"""The simulated Anthropic."""
