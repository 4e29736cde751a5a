"""Models: a room of engine."""
