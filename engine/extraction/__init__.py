"""Extraction: a room of engine."""
