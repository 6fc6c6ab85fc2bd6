"""From a trained model to predictions: engines, the work queue, answers on disk, gather."""
