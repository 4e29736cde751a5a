"""Planning: a room of engine."""
