"""Broken and hostile files in large numbers: each gives a model or a plain error, and nothing else happens."""
