"""Everything worded."""
