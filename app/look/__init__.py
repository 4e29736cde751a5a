"""Design tokens, style sheet and icons."""
