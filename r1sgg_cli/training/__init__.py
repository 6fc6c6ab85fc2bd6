"""What one worker process does: TRL's trainers, their silent traps closed, checkpoints that resume right."""
