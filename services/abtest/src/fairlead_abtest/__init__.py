"""A/B tests across providers: jobs, scoring, statistics, verdicts."""
