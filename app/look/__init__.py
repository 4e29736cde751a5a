"""Colours, style sheet, icons, and the theme that applies them."""
