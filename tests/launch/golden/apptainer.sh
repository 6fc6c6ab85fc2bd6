#!/bin/bash
#SBATCH --job-name=infer
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=120G
#SBATCH --time=24:00:00
#SBATCH --array=0-1
#SBATCH --output=/runs/answers/logs/%A_%a.out
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@60
#SBATCH --requeue

set -euo pipefail
name=infer
export folder=/runs/answers
max_requeues=20
is_finished() { true; }
say() { printf 'r1sgg: %s\n' "$*" >&2; }
mkdir -p "$folder/logs"
log="$folder/logs/${SLURM_ARRAY_JOB_ID:-}_${SLURM_ARRAY_TASK_ID:-}.out"
if [ ! -e "$log" ]; then log="what is written above"; fi # inside an allocation
trap 'say "$name could not begin: $log says why; mend it and submit again"' ERR

# Little time is left, or the job must make room: what is finished is kept, and the rest is done next time.
stopped='' interrupted='' steps=()
trap 'interrupted=yes stopped=yes; kill ${steps[@]+"${steps[@]}"} 2>/dev/null || true' USR1
was_stopped() { [ -n "$stopped" ]; }
# Ended from outside, as by Ctrl-C in an allocation: no step goes on behind it, which would hold the run's folder.
end_steps() {
  trap - INT TERM
  kill ${steps[@]+"${steps[@]}"} 2>/dev/null || true
  wait
  kill "-$1" "$$"
}
trap 'end_steps INT' INT
trap 'end_steps TERM' TERM

export PYTHONUNBUFFERED=1
export PYTHONFAULTHANDLER=1
export OMP_NUM_THREADS=8
export HF_HOME=/data/huggingface
cd /home/ana/graphs

on_node() {
  set -euo pipefail
  set +u # scripts of modules and environments read variables that are not set
  if [ -d /opt/venv/conda-meta ]; then
    export CONDA_PREFIX=/opt/venv PATH=/opt/venv/bin:"$PATH"
    for script in /opt/venv/etc/conda/activate.d/*.sh; do
      # shellcheck source=/dev/null
      if [ -e "$script" ]; then source "$script"; fi
    done
  else
    # shellcheck source=/dev/null
    source /opt/venv/bin/activate
  fi
  set -u
  r1sgg infer /runs/grpo /runs/answers
}

trap - ERR
task="$(declare -f on_node); on_node \"\$@\""
tasks=2 # inside an allocation: all of them, as GPUs become free
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then tasks=1; fi
for ((number = 0; number < tasks; number++)); do
  srun --nodes=1 --ntasks=1 --kill-on-bad-exit=1 --exact --mem=0 --gpus-per-node=1 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} apptainer exec --nv --bind /home/ana/graphs:/home/ana/graphs --bind /runs/answers:/runs/answers --bind /data/huggingface:/data/huggingface --bind /datasets:/datasets:ro --pwd /home/ana/graphs '/images/r1 sgg.sqsh' bash -c "$task" bash &
  steps+=("$!")
done

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
