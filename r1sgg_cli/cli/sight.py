"""How a training is shown that a command starts: pages and pictures are made beside the trainers, not by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from r1sgg_cli.training.showing import Sight


def sight() -> Sight:
    """The run's page, and its rollouts as pictures."""
    from r1sgg_cli.report.picture import draw_rollout
    from r1sgg_cli.report.run_page import write_page_of_run
    from r1sgg_cli.training.showing import Sight

    return Sight(write_page_of_run, draw_rollout)
