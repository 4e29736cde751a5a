"""The parts of the window. Nothing here imports torch."""
