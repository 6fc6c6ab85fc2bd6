#!/bin/bash
#SBATCH --job-name=grpo
#SBATCH --nodes=15
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --mem=0
#SBATCH --time=24:00:00
#SBATCH --output=/runs/grpo/logs/%j.out
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@600
#SBATCH --requeue

set -euo pipefail
name=grpo
export folder=/runs/grpo
max_requeues=20
is_finished() { [ -e /runs/grpo/config.json ]; }
say() { printf 'r1sgg: %s\n' "$*" >&2; }
mkdir -p "$folder/logs"
log="$folder/logs/$SLURM_JOB_ID.out"
if [ ! -e "$log" ]; then log="what is written above"; fi # inside an allocation
trap 'say "$name could not begin: $log says why; mend it and submit again"' ERR

# Little time is left, or the job must make room: a training that finds this file saves a checkpoint and ends.
stop="$folder/stop" interrupted='' steps=()
rm -f "$stop"
trap 'interrupted=yes; touch "$stop"' USR1
was_stopped() { [ -e "$stop" ]; }
# Ended from outside, as by Ctrl-C in an allocation: no step goes on behind it, which would hold the run's folder.
end_steps() {
  trap - INT TERM
  kill ${steps[@]+"${steps[@]}"} 2>/dev/null || true
  wait
  kill "-$1" "$$"
}
trap 'end_steps INT' INT
trap 'end_steps TERM' TERM

export PATH=/home/ana/venv/bin:"$PATH"
export PYTHONUNBUFFERED=1
export PYTHONFAULTHANDLER=1
export OMP_NUM_THREADS=8
export TORCH_NCCL_DUMP_ON_TIMEOUT=1
export TORCH_FR_BUFFER_SIZE=2000
export TORCH_FR_DUMP_TEMP_FILE=/runs/grpo/logs/nccl-rank
cd /home/ana/graphs

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
port=$((15000 + SLURM_JOB_ID % 4000 * 4)) # below those that systems give to connections; jobs rarely meet
export master_addr="${nodes[0]}" master_port="$port"
export server_port="$((port + 1))"
export R1SGG_SERVER_URL="http://${nodes[0]}:$server_port"
export trained="$folder/logs/$SLURM_JOB_ID.trained"
rm -f "$trained"
# An address, asked for where it is used: to itself a node may be its loopback.
server_address="$(srun --nodes=1 --ntasks=1 --nodelist="${nodes[1]}" getent ahostsv4 "${nodes[0]}")"
export server_address="${server_address%% *}" rpc_port="$((port + 2))"

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

on_node() {
  set -euo pipefail
  if [ "$SLURM_NODEID" -ge 10 ]; then
    torchrun --nnodes 15 --node-rank "$SLURM_NODEID" --master-addr "$master_addr" --master-port "$master_port" --nproc-per-node 8 -m r1sgg_cli worker /runs/grpo
    touch "$trained"
    return
  fi
  local gpus="${CUDA_VISIBLE_DEVICES:-0,1,2,3,4,5,6,7}" servers=() trainer=
  local server_log="$folder/logs/server-$SLURM_JOB_ID" rank first engine
  for ((rank = SLURM_NODEID * 1; rank < SLURM_NODEID * 1 + 1; rank++)); do
    engine=(vllm serve Qwen/Qwen2-VL-7B-Instruct --weight-transfer-config '{"backend":"nccl"}' --logprobs-mode processed_logprobs --max-logprobs -1 --enable-scale-out --limit-mm-per-prompt '{"image": 1, "video": 0}' --dtype bfloat16 --tensor-parallel-size 4 --max-model-len 3072 --mm-processor-kwargs '{"max_pixels": 401408}')
    if [ "$rank" -eq 0 ]; then
      engine+=(--port "$server_port" --api-server-count 1 --data-parallel-size 10 --data-parallel-size-local 1 --data-parallel-address "$server_address" --data-parallel-rpc-port "$rpc_port")
    else
      engine+=(--headless --data-parallel-start-rank "$rank" --seed "$rank" --data-parallel-size 10 --data-parallel-size-local 1 --data-parallel-address "$server_address" --data-parallel-rpc-port "$rpc_port")
    fi
    first=$((rank % 1 * 4 + 1))
    CUDA_VISIBLE_DEVICES="$(cut -d, -f"$first-$((first + 3))" <<<"$gpus")" VLLM_SERVER_DEV_MODE=1 \
      "${engine[@]}" >>"$server_log-$rank.out" 2>&1 &
    servers+=("$!")
  done
  CUDA_VISIBLE_DEVICES="$(cut -d, -f5-8 <<<"$gpus")" \
    torchrun --nnodes 15 --node-rank "$SLURM_NODEID" --master-addr "$master_addr" --master-port "$master_port" --nproc-per-node 4 -m r1sgg_cli worker /runs/grpo &
  trainer=$!
  supervise "$trainer"
}

trap - ERR
task="$(declare -f say all_serve any_serves supervise on_node); on_node \"\$@\""
srun --nodes=15 --ntasks=15 --kill-on-bad-exit=1 --label ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} bash -c "$task" bash &
steps+=("$!")

# `wait` may end with a signal (138 is USR1) before the step does.
code=0
for step in "${steps[@]}"; do
  while :; do
    interrupted='' step_code=0
    wait "$step" || step_code=$?
    if [ "$step_code" -ne 138 ] || [ -z "$interrupted" ]; then break; fi
  done
  if [ "$step_code" -gt "$code" ]; then code=$step_code; fi
done
if [ "$code" -eq 0 ] && is_finished; then exit 0; fi

# Some clusters signal the steps and not the script when they preempt: the job has not failed then.
was_preempted() { [[ "$(scontrol show job "$SLURM_JOB_ID")" == *PreemptTime=[0-9]* ]]; }

if was_stopped || was_preempted; then
  restarts=${SLURM_RESTART_COUNT:-0}
  if [ "$restarts" -ge "$max_requeues" ]; then
    say "$name is not finished after $restarts requeues, as many as \`slurm.max_requeues\` allows:" \
      "submit it again to continue. Its log: $log"
  elif scontrol requeue "$SLURM_JOB_ID"; then
    say "$name goes on from the queue: requeue $((restarts + 1)) of at most $max_requeues"
    exit 0
  else
    say "$name was stopped before it was finished: run it again to continue. Its log: $log"
  fi
elif [ "$code" -eq 0 ]; then
  say "$name ended before it was finished: $log says why; submit it again to continue"
else
  say "$name failed with code $code: $log says why; mend it and submit again, what is finished is kept"
fi
exit "$((code > 0 ? code : 1))"
