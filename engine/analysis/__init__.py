"""Analysis: a room of engine."""
