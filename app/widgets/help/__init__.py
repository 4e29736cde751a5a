"""Help: a room of app/widgets."""
