"""From results to files: key names per format, file names, and writing that never leaves half a file."""
