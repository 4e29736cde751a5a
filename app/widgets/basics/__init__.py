"""Basics: a room of app/widgets."""
