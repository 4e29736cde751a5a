"""The disk image."""
