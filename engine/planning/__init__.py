"""What a run will do, take and cost, before anything is read. No torch."""
