"""Memory, reading ahead, residency and the journal of whole runs, on pairs of any size. See CONTRIBUTING.md."""
