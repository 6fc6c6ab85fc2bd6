"""Sources of annotated images, the data set's rows, the prompts, and predictions on disk."""
