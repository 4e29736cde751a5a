"""Result: a room of app/widgets."""
