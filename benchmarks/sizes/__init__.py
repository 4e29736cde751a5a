"""Ways to share a file's bytes between layers, judged by the task that small models were really fine-tuned on."""
