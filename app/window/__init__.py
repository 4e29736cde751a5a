"""The main window and its presenters."""
