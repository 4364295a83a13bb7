"""The OpenAI wires: chat completions as OpenAI and compatible endpoints speak it, and the Responses API."""
