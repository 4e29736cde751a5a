"""The .deb and the .tar.gz, and their trial in a bare root."""
