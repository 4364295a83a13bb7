"""The Mistral wire: the OpenAI chat format with differences in names, tool-call ids, content and reasoning."""
