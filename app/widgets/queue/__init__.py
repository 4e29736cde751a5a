"""Queue: a room of app/widgets."""
