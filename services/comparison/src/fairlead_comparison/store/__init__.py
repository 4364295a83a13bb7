"""What comparison keeps in Postgres, by its nouns: observations, sums, comparisons, results of A/B tests."""
