"""What is kept per user."""
