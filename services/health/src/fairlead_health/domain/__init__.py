"""Health's decisions, pure: state of a provider, score, availability, alerts."""
