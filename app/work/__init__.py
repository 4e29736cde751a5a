"""Work on threads: controller, workers, queue."""
