"""What the window costs: time to the first pixel, lateness of its event loop, memory over many extractions."""
