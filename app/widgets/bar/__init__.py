"""Bar: a room of app/widgets."""
