"""Provider simulators that speak each vendor's wire format and can fail in every way."""
