"""Models: a room of app/widgets."""
