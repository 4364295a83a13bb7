"""The HTTP/1.1 server engine of the edge: one asyncio protocol and one long-lived task per connection, none per request."""
