"""Tabs: a room of app/widgets."""
