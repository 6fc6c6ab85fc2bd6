"""The reward functions by their published names, with the published weights (at most 1, 2, 2, 5, 5, 5).

On well-formed answers they return what the published code returns; where that is wrong, they are right: every item of
an answer is judged by itself, labels are normalised on both sides, and what does not apply is `None`, not 0.
"""

from r1sgg_cli.rewards.batch import RewardFunction, reward_function
from r1sgg_cli.rewards.edges import edge_hard_relax_reward, edge_hard_reward, edge_reward
from r1sgg_cli.rewards.formats import format_reward
from r1sgg_cli.rewards.nodes import node_acc_reward, node_box_reward

REWARDS: dict[str, RewardFunction] = {
    "format_reward": reward_function(format_reward),
    "node_acc_reward": reward_function(node_acc_reward),
    "node_box_reward": reward_function(node_box_reward),
    "edge_reward": reward_function(edge_reward),
    "edge_hard_reward": reward_function(edge_hard_reward),
    "edge_hard_relax_reward": reward_function(edge_hard_relax_reward),
}
