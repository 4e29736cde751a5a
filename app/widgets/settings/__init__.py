"""Settings: a room of app/widgets."""
