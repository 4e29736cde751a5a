"""Processors and accelerators: choice, memory rules, buffers, and the governor of their memory."""
