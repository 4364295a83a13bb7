"""The formats callers may speak, one module each: parse into the unified form, render the answer, the stream, the errors."""
