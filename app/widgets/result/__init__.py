"""The quality of a finished run, and what another rank would give."""
