"""Change map: a room of app/widgets."""
