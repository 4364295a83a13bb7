"""One module per vendor: how it asks, answers, streams, lists its models and reports errors."""
