"""What a job does on each of its nodes: a shell function that `srun` calls once there.

Only there are the node's rank, its GPUs and its disks known. On a node with rollout servers both they and the trainers
are its children, and neither outlives the other.
"""

from r1sgg_cli.launch.environment import node_environment_lines
from r1sgg_cli.launch.job import LOGS, Job
from r1sgg_cli.launch.servers import engine_argv, head_options, headless_options
from r1sgg_cli.launch.shell import Expanded, command_line
from r1sgg_cli.launch.torchrun import NodeRank, torchrun_argv

_SUPERVISE = """\
# The servers of a node, and its trainers if it has any, until training has ended here or elsewhere.
# Nodes end at their own pace: a server that is gone gets a grace, in which training may turn out to have ended
# elsewhere. If it has, trainers of this node have no use for a server any more, and save for as long as they need.
all_serve() {
  local server
  for server in "${servers[@]}"; do kill -0 "$server" 2>/dev/null || return 1; done
}
any_serves() {
  local server
  for server in "${servers[@]}"; do if kill -0 "$server" 2>/dev/null; then return 0; fi; done
  return 1
}
supervise() {
  local trainer=$1 code=0 grace=20 patience=30
  while :; do
    if [ -n "$trainer" ] && ! kill -0 "$trainer" 2>/dev/null; then
      wait "$trainer" || code=$?
      break
    fi
    if [ -z "$trainer" ] && [ -e "$trained" ]; then break; fi
    if ! all_serve && [ ! -e "$trained" ]; then
      grace=$((grace - 1))
      if [ "$grace" -lt 0 ]; then
        code=1
        break
      fi
    fi
    sleep 1
  done
  if [ "$code" -eq 0 ]; then touch "$trained"; fi # before the servers end, which other nodes see
  if [ "$code" -ne 0 ] && ! all_serve && [ ! -e "$trained" ]; then
    say "a vLLM server on $(hostname) ended before the training did; its log is one of $server_log-*.out"
  fi
  kill ${trainer:+"$trainer"} "${servers[@]}" 2>/dev/null || true
  while any_serves && [ "$patience" -gt 0 ]; do
    patience=$((patience - 1))
    sleep 1
  done
  kill -9 "${servers[@]}" 2>/dev/null || true
  return "$code"
}
"""


def place_lines(job: Job) -> list[str]:
    """For the script itself: where the nodes find each other, where that is needed."""
    if job.num_nodes == 1 and not job.has_servers:
        return []
    trainers = job.preset.trainers_per_node
    first = next(node for node, count in enumerate(trainers) if count)
    lines = [
        'mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")',
        "port=$((15000 + SLURM_JOB_ID % 4000 * 4)) # below those that systems give to connections; jobs rarely meet",
        f'export master_addr="${{nodes[{first}]}}" master_port="$port"',
    ]
    return lines + (_server_places(job) if job.has_servers else [])


def _server_places(job: Job) -> list[str]:
    servers = job.preset.servers
    assert servers is not None
    lines = [
        'export server_port="$((port + 1))"',
        'export R1SGG_SERVER_URL="http://${nodes[0]}:$server_port"',
        f'export trained="$folder/{LOGS}/$SLURM_JOB_ID.trained"',
        'rm -f "$trained"',
    ]
    if servers.num_nodes == 1:
        return [*lines, *(['export server_address=127.0.0.1 rpc_port="$((port + 2))"'] if servers.per_node > 1 else [])]
    return [
        *lines,
        "# An address, asked for where it is used: to itself a node may be its loopback.",
        'server_address="$(srun --nodes=1 --ntasks=1 --nodelist="${nodes[1]}" getent ahostsv4 "${nodes[0]}")"',
        'export server_address="${server_address%% *}" rpc_port="$((port + 2))"',
    ]


def function_names(job: Job) -> str:
    """What `srun` must be handed for `on_node` to work."""
    return "say all_serve any_serves supervise on_node" if job.has_servers else "on_node"


def function_lines(job: Job) -> list[str]:
    """The function `on_node`, and what it calls."""
    lines = ["set -euo pipefail", *node_environment_lines(job), *_work(job)]
    above = _SUPERVISE.splitlines() if job.has_servers else []
    return [*above, *([""] if above else []), "on_node() {", *(f"  {line}" for line in lines), "}"]


def _work(job: Job) -> list[str]:
    if job.has_servers:
        return _servers_and_trainers(job)
    if job.kind == "torchrun":
        return [_torchrun(job, node=0)]
    return [command_line(["r1sgg", *job.command])]


def _torchrun(job: Job, node: int) -> str:
    """What starts the trainers of a node like the `node`-th."""
    trainers = job.preset.trainers_per_node
    num_nodes = sum(count > 0 for count in trainers)
    if num_nodes == 1:
        return command_line(torchrun_argv(job.command, trainers[node]))
    num_before = len(trainers) - num_nodes  # nodes that only serve are the first
    rank = f'"$((SLURM_NODEID - {num_before}))"' if num_before else '"$SLURM_NODEID"'
    place = NodeRank(num_nodes, Expanded(rank), Expanded('"$master_addr"'), Expanded('"$master_port"'))
    return command_line(torchrun_argv(job.command, trainers[node], place))


def _servers_and_trainers(job: Job) -> list[str]:
    preset, servers = job.preset, job.preset.servers
    assert servers is not None
    taken, trainers = servers.per_node * servers.tensor_parallel, preset.trainers_per_node
    all_gpus = ",".join(map(str, range(preset.gpus_per_node)))
    lines = [
        *(_only_training(job) if servers.num_nodes < preset.num_nodes else []),
        f'local gpus="${{CUDA_VISIBLE_DEVICES:-{all_gpus}}}" servers=() trainer=',
        f'local server_log="$folder/{LOGS}/server-$SLURM_JOB_ID" rank first engine',
        *_start_servers(job),
    ]
    if trainers[0]:
        visible = f'CUDA_VISIBLE_DEVICES="$(cut -d, -f{taken + 1}-{preset.gpus_per_node} <<<"$gpus")"'
        lines += [f"{visible} \\", f"  {_torchrun(job, node=0)} &", "trainer=$!"]
    return [*lines, 'supervise "$trainer"']


def _only_training(job: Job) -> list[str]:
    servers = job.preset.servers
    assert servers is not None
    return [
        f'if [ "$SLURM_NODEID" -ge {servers.num_nodes} ]; then',
        f"  {_torchrun(job, node=servers.num_nodes)}",
        '  touch "$trained"',
        "  return",
        "fi",
    ]


def _start_servers(job: Job) -> list[str]:
    """Each server of the node in a process of its own, on the next `tensor_parallel` GPUs."""
    servers = job.preset.servers
    assert servers is not None
    assert job.model is not None
    each, width = servers.per_node, servers.tensor_parallel
    rank, port, address, rpc_port = (
        Expanded(f'"${name}"') for name in ("rank", "server_port", "server_address", "rpc_port")
    )
    head = command_line(head_options(job.preset, port, address, rpc_port))
    headless = command_line(headless_options(job.preset, rank, address, rpc_port))
    place = [f"  engine+=({head})"]
    if servers.num_nodes * each > 1:
        place = ['  if [ "$rank" -eq 0 ]; then', f"  {place[0]}", "  else", f"    engine+=({headless})", "  fi"]
    return [
        f"for ((rank = SLURM_NODEID * {each}; rank < SLURM_NODEID * {each} + {each}; rank++)); do",
        f"  engine=({command_line(engine_argv(job.model, job.preset, job.max_model_len, job.max_pixels))})",
        *place,
        f"  first=$((rank % {each} * {width} + 1))",
        f'  CUDA_VISIBLE_DEVICES="$(cut -d, -f"$first-$((first + {width - 1}))" <<<"$gpus")" VLLM_SERVER_DEV_MODE=1 \\',
        '    "${engine[@]}" >>"$server_log-$rank.out" 2>&1 &',
        '  servers+=("$!")',
        "done",
    ]
