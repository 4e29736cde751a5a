"""A run while it works: memory and batch plots, and the log."""
