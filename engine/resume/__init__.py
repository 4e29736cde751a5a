"""Resume: a room of engine."""
