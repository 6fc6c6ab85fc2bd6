"""From a trained model to predictions: the engine, answers on disk, gather."""
