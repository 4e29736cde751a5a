"""Spectrum: a room of app/widgets."""
