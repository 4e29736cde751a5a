"""The demonstration pair."""
