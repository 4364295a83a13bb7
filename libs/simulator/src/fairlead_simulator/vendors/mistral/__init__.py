"""The simulated Mistral."""
