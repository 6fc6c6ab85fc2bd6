"""The reward functions by name: the published ones with the published weights, and those of later work.

On well-formed answers the published ones return what the published code returns; where that is wrong, they are right:
every item of an answer is judged by itself, labels are normalised on both sides, and what does not apply is `None`, not
0. They are recall only, and every predicate of a pair may find something. Those of later work let the first one
(`first_guesses`), and those of `f1` and `penalties` also count what is superfluous.
"""

from r1sgg_cli.config.reward_names import SCORED
from r1sgg_cli.rewards.batch import RewardFunction, reward_function
from r1sgg_cli.rewards.coverage import cluster_coverage_reward
from r1sgg_cli.rewards.edges import edge_hard_relax_reward, edge_hard_reward, edge_reward
from r1sgg_cli.rewards.f1 import edge_f1_reward, object_f1_reward
from r1sgg_cli.rewards.formats import format_reward
from r1sgg_cli.rewards.long_tail import mean_recall_reward, weighted_recall_reward
from r1sgg_cli.rewards.nodes import node_acc_reward, node_box_reward
from r1sgg_cli.rewards.penalties import length_penalty_reward, repetition_penalty_reward

REWARDS: dict[str, RewardFunction] = {
    **{
        score.__name__: reward_function(score, SCORED[score.__name__])
        for score in (
            format_reward,
            node_acc_reward,
            node_box_reward,
            edge_reward,
            edge_hard_reward,
            edge_hard_relax_reward,
            object_f1_reward,
            edge_f1_reward,
            mean_recall_reward,
            cluster_coverage_reward,
            repetition_penalty_reward,
            length_penalty_reward,
        )
    },
    "weighted_recall_reward": weighted_recall_reward,  # type: ignore[dict-item]
}
