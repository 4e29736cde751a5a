"""Reuse of earlier runs: journal, records, and which of them a plan can use."""
