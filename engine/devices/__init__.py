"""Devices: a room of engine."""
