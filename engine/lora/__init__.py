"""LoRA files as things: reading and writing them in every format, and the tools that work on them."""
