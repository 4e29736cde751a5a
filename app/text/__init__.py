"""All texts, for the window and the command line, and their translation. No torch."""
