"""Layers: a room of app/widgets."""
