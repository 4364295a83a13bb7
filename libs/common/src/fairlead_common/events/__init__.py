"""Every fact on the bus: one module per owner, and only the owner publishes its types.

Models are frozen and ignore unknown fields. A change only adds optional fields; a breaking change is a new
type on a new subject. Each type has a golden JSON file in the tests.
"""
