"""The decisions of A/B tests, pure: arms and jobs, who may run a job, scores, statistics, verdicts."""
