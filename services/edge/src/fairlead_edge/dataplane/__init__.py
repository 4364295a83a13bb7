"""The request path: from a caller's bytes to a provider and back. No database, no bus, no lock, no task per request."""
