#!/bin/bash
#SBATCH --job-name=grpo
#SBATCH --account="proj 7"
#SBATCH --partition=gpu,gpu-long
#SBATCH --qos=normal
#SBATCH --constraint="a100&80gb"
#SBATCH --exclude=n[3,7-9]
#SBATCH --reservation="course#1"
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=a100:4
#SBATCH --cpus-per-task=24
#SBATCH --mem=400G
#SBATCH --time=2-12:00:00
#SBATCH --output=/runs/grpo/logs/%j.out
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@900
#SBATCH --mail-user=ana@example.org
#SBATCH --mail-type=END,FAIL,REQUEUE
#SBATCH --exclusive
#SBATCH --requeue

set -euo pipefail
name=grpo
export folder=/runs/grpo
max_requeues=3
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

set +u # scripts of modules and environments read variables that are not set
if ! type module >/dev/null 2>&1; then
  # shellcheck source=/dev/null
  source /etc/profile
fi
module purge
module load cuda/12.8
module load 'gcc (13)'
set -u
set +u # scripts of modules and environments read variables that are not set
if [ -d "${HOME:?}"'/envs/r1 sgg'/conda-meta ]; then
  export CONDA_PREFIX="${HOME:?}"'/envs/r1 sgg' PATH="${HOME:?}"'/envs/r1 sgg'/bin:"$PATH"
  for script in "${HOME:?}"'/envs/r1 sgg'/etc/conda/activate.d/*.sh; do
    # shellcheck source=/dev/null
    if [ -e "$script" ]; then source "$script"; fi
  done
else
  # shellcheck source=/dev/null
  source "${HOME:?}"'/envs/r1 sgg'/bin/activate
fi
set -u
export PYTHONUNBUFFERED=1
export PYTHONFAULTHANDLER=1
export OMP_NUM_THREADS=6
export TORCH_NCCL_DUMP_ON_TIMEOUT=1
export TORCH_FR_BUFFER_SIZE=2000
export TORCH_FR_DUMP_TEMP_FILE=/runs/grpo/logs/nccl-rank
export HF_HUB_OFFLINE=1
export NCCL_SOCKET_IFNAME=ib0
export GREETING='$HOME isn'"'"'t `looked up`'
cd /home/ana/graphs

on_node() {
  set -euo pipefail
  local scratch=/local/"${USER:?}"'/run '"${SLURM_JOB_ID:?}"/"r1sgg-$UID"
  mkdir -p "$scratch/tmp"; export TMPDIR="$scratch/tmp"
  mkdir -p "$scratch/triton"; export TRITON_CACHE_DIR="$scratch/triton"
  mkdir -p "$scratch/inductor"; export TORCHINDUCTOR_CACHE_DIR="$scratch/inductor"
  mkdir -p "$scratch/torch-extensions"; export TORCH_EXTENSIONS_DIR="$scratch/torch-extensions"
  mkdir -p "$scratch/vllm"; export VLLM_CACHE_ROOT="$scratch/vllm"
  torchrun --standalone --nproc-per-node 4 -m r1sgg_cli worker /runs/grpo
}

trap - ERR
task="$(declare -f on_node); on_node \"\$@\""
srun --nodes=1 --ntasks=1 --kill-on-bad-exit=1 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} bash -c "$task" bash &
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
