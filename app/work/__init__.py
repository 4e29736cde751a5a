"""What runs on threads of its own: planning, extraction, verification, queue, cache, estimates."""
