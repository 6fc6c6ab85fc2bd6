"""What `tests.training.warm` has imported before it forks."""

import gc

gc.freeze()
