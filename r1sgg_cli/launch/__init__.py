"""From a recipe and a preset to running processes: plans, jobs, queues."""
