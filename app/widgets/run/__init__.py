"""Run: a room of app/widgets."""
