"""The simulated Gemini API of Google."""
