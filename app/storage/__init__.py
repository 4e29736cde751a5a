"""Files kept per user: session, preferences, profiles, queue, measured speeds. No torch, no Qt widgets."""
