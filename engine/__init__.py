"""Extracts LoRAs from pairs of models; knows nothing of windows or terminals."""

__version__ = "0.1.0"
