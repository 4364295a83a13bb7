"""The model abstraction: unified request and response, provider adapters, catalog, prices, transport."""
