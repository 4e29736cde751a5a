"""The bar at the bottom of the window: run buttons, progress, and the card of the last result."""
