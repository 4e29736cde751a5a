"""Holds a tiny, really trained pair of diffusion models that the demo extracts a LoRA from."""
