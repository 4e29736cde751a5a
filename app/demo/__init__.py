"""The demo pair that ships with the program: its files, its settings, and the picture of its comparison."""
