"""Settings of the LoRA and of the hardware, profiles, and the settings dialog."""
