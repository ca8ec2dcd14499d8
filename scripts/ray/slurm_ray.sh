# shellcheck shell=bash
# Sourced by scripts/templates/*.sh: runs `python -m verl.trainer.main_ppo ARGUMENTS` on the nodes of this SLURM job, or here.
#
#   launch ARGUMENTS...
#     one node:    the trainer runs at once and starts a Ray of its own; no SLURM needed
#     more nodes:  one step per node: the first runs Ray's head and the trainer (head_node.sh), the others run Ray. The trainer starts
#                  when all nodes have joined. If a node's Ray ends, the job ends and says which node; the job's exit code is the
#                  trainer's. Nothing is stopped that this job did not start.
#   file_list PATTERN...     Hydra list of the files that match, e.g. [data/train/a.parquet,data/train/b.parquet]
#
# Settings (environment):
#   PYTHON             interpreter: CONDA_BIN_PATH's, else .venv's, else the one on PATH; python3 in a container
#   CONDA_BIN_PATH     folder of python, with or without a slash at the end
#   GPUS_PER_NODE      devices of a node; 0: train on the CPU        NNODES   as SLURM says; only dry runs need it
#   CONTAINER          none | pyxis | docker | apptainer             CONTAINER_IMAGE   image, .sqsh or .sif file
#   CONTAINER_MOUNTS   host folders that the container sees besides the repository and local BASE_MODEL and DATA_DIR, by commas
#   LOG_DIR            slurm/<job id>: each node's output and Ray's logs
#   RAY_START_TIMEOUT  seconds until all nodes must have joined: 360   NODE_LOSS_GRACE   seconds for the trainer to say what it lost: 30
#   CHECK_GPU=0        do not look whether others use the GPUs
#   DRY_RUN=1          print every command, run none
# Addresses, interfaces (GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME) and ports are found on each node: ray_utils/start_ray.sh.
# Submitted or requeued again, a run goes on from its last checkpoint: trainer.default_local_dir does not depend on the job.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$REPO" || exit # relative paths are the repository's
export PYTHONPATH="$REPO${PYTHONPATH:+:$PYTHONPATH}"
# what a docker container is told of the environment; the other runtimes pass all
PASSED_ON='^(GLOO|NCCL|UCX|VLLM|VERL|RAY|HF|HUGGING|TRANSFORMERS|TORCH|OMP|WANDB|STEM_LLM_JUDGE|MATH_LLM_JUDGE|REWARD_JUDGE|SANDBOX_FUSION|SLURM|PYTHON|TOKENIZERS|NODE_COUNT|RANK$|CUDA_DEVICE_MAX)'

say() { echo "slurm_ray: $*" >&2; }
die() { say "$*"; exit 2; }

file_list() {
  local pattern files=() found
  for pattern in "$@"; do
    mapfile -t found < <(compgen -G "$pattern")
    [ "${#found[@]}" -gt 0 ] || [ -n "${DRY_RUN:-}" ] || die "there is no file $pattern; set TRAIN_FILES and VAL_FILES, or make the data: data_preprocess/README.md"
    [ "${#found[@]}" -gt 0 ] || found=("$pattern")
    files+=("${found[@]}")
  done
  (IFS=,; echo "[${files[*]}]")
}

launch() {
  ARGUMENTS=("$@")
  find_python
  find_nodes
  [ "$(printf '%s\n' "${NODES[@]}" | sort -u | wc -l)" = "$NODE_COUNT" ] || die "SLURM named a node twice: ${NODES[*]}"
  DRIVER=("$PYTHON" -m verl.trainer.main_ppo "${ARGUMENTS[@]}")
  if [ "$NODE_COUNT" = 1 ]; then launch_here; else launch_on_nodes; fi
}

find_python() {
  local folder=${CONDA_BIN_PATH:+${CONDA_BIN_PATH%/}/}
  if [ "${CONTAINER:-none}" != none ]; then
    case $CONTAINER in pyxis | docker | apptainer) ;; *) die "CONTAINER=$CONTAINER: choose none, pyxis, docker or apptainer" ;; esac
    [ -n "${CONTAINER_IMAGE:-}" ] || die "CONTAINER=$CONTAINER needs CONTAINER_IMAGE (docker/Dockerfile builds one)"
    PYTHON=${PYTHON:-python3}
    export PYTHON
    return
  fi
  [ -n "$folder" ] || [ ! -x "$REPO/.venv/bin/python" ] || folder=$REPO/.venv/bin/
  export PYTHON=${PYTHON:-${folder}python}
  [ -n "${DRY_RUN:-}" ] || command -v "$PYTHON" > /dev/null ||
    die "there is no $PYTHON; set CONDA_BIN_PATH to the folder of python (which python), or PYTHON"
}

find_nodes() {
  NODES=("$(hostname)")
  if [ -n "${SLURM_JOB_NODELIST:-}" ]; then
    mapfile -t NODES < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
  elif [ -n "${DRY_RUN:-}" ]; then
    mapfile -t NODES < <(seq -f 'node%.0f' "${NNODES:-1}")
  elif [ "${NNODES:-1}" != 1 ]; then
    die "this run takes $NNODES nodes: submit it with sbatch (NNODES=1 runs it on this machine)"
  fi
  NODE_COUNT=${#NODES[@]}
  [ "$NODE_COUNT" -gt 0 ] || die "scontrol did not name the nodes of $SLURM_JOB_NODELIST"
  [ "$NODE_COUNT" = "${NNODES:-$NODE_COUNT}" ] || die "the arguments are for $NNODES nodes, SLURM gave $NODE_COUNT"
  RUN_ID=${SLURM_JOB_ID:-$$}-${SLURM_RESTART_COUNT:-0}
  LOG_DIR=${LOG_DIR:-$REPO/slurm/$RUN_ID}
}

# ---- commands ----

show_or_run() {
  if [ -n "${DRY_RUN:-}" ]; then printf '%q ' "$@"; echo; else "$@"; fi
}

on_node() { # NODE COMMAND... -> COMMAND=(...): a step of this job on that node, outside of containers
  COMMAND=(srun --nodes=1 --ntasks=1 "--nodelist=$1" --overlap --unbuffered "--cpus-per-task=${SLURM_CPUS_PER_TASK:-1}" "${@:2}")
}

in_container() { # NAME COMMAND... -> COMMAND=(...), with pyxis' options in STEP_OPTIONS instead
  local name=$1 mounts folder
  shift
  STEP_OPTIONS=() COMMAND=("$@")
  mounts=$(container_mounts)
  case ${CONTAINER:-none} in
    pyxis)
      folder=$(sed -E 's#([^,]+)#\1:\1#g' <<< "$mounts")
      STEP_OPTIONS=("--container-image=$CONTAINER_IMAGE" "--container-mounts=$folder" "--container-workdir=$REPO") ;;
    docker)
      COMMAND=(docker run --rm --init "--name=$name" --network=host --ipc=host --ulimit=memlock=-1 "--user=$(id -u):$(id -g)"
        --env=HOME=/tmp "--env=USER=${USER:-user}" "--workdir=$REPO")
      [ "${GPUS_PER_NODE:-0}" = 0 ] || COMMAND+=(--gpus=all)
      [ ! -d /dev/infiniband ] || COMMAND+=(--device=/dev/infiniband --cap-add=IPC_LOCK)
      while read -r folder; do COMMAND+=("--volume=$folder:$folder"); done < <(tr , '\n' <<< "$mounts")
      while read -r name; do COMMAND+=("--env=$name"); done < <(compgen -e | grep -E "$PASSED_ON" | sort)
      COMMAND+=("$CONTAINER_IMAGE" "$@") ;;
    apptainer)
      COMMAND=(apptainer exec "--bind=$mounts" "--pwd=$REPO")
      [ "${GPUS_PER_NODE:-0}" = 0 ] || COMMAND+=(--nv)
      COMMAND+=("$CONTAINER_IMAGE" "$@") ;;
  esac
}

container_mounts() {
  local folder mounts=$REPO
  for folder in "${BASE_MODEL:-}" "${DATA_DIR:-}" "${HF_HOME:-}" "$LOG_DIR"; do
    case $folder in "$REPO"/*) ;; /*) [ ! -d "$folder" ] || mounts+=,$folder ;; esac
  done
  echo "$mounts${CONTAINER_MOUNTS:+,$CONTAINER_MOUNTS}"
}

# ---- one node ----

launch_here() {
  [ "${GPUS_PER_NODE:-0}" = 0 ] || [ "${CHECK_GPU:-1}" = 0 ] || show_or_run bash "$REPO/scripts/tools/check_gpu.sh" "$GPUS_PER_NODE" || exit
  in_container "reasoning360-$RUN_ID" "${DRIVER[@]}"
  if [ ${#STEP_OPTIONS[@]} -gt 0 ]; then
    local command=("${COMMAND[@]}")
    on_node "${NODES[0]}" "${STEP_OPTIONS[@]}" "${command[@]}"
  fi
  [ -n "${DRY_RUN:-}" ] || exec "${COMMAND[@]}"
  show_or_run "${COMMAND[@]}"
}

# ---- several nodes ----

launch_on_nodes() {
  local i
  export RAY_HEAD_FILE=$LOG_DIR/head_address RAY_RUN_ID=$RUN_ID RAY_EXPECTED_NODES="${NODES[*]}" NODE_COUNT
  export RAY_NUM_GPUS=${GPUS_PER_NODE:-0} RAY_NUM_CPUS=${RAY_NUM_CPUS:-${SLURM_CPUS_PER_TASK:-}} RAY_PEER=${NODES[1]}
  export RAY_TEMP_DIR=/tmp/ray-${SLURM_JOB_ID:-$$} RAY_START_TIMEOUT=${RAY_START_TIMEOUT:-360} RAY_BLOCK=1
  STEPS=()
  if [ -z "${DRY_RUN:-}" ]; then
    command -v srun > /dev/null || die "srun is not on PATH"
    mkdir -p "$LOG_DIR"
    rm -f "$RAY_HEAD_FILE"
    make_token
    trap stop_all EXIT
    trap 'say "told to stop"; exit 143' TERM INT HUP
    say "nodes ${NODES[*]}; logs in $LOG_DIR"
  fi
  check_gpus
  for ((i = NODE_COUNT - 1; i >= 0; i--)); do start_node "$i"; done
  [ -n "${DRY_RUN:-}" ] || watch
}

make_token() { # only who can read this file can use the job's Ray
  export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$LOG_DIR/ray_token
  (umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")
}

check_gpus() {
  [ "${GPUS_PER_NODE:-0}" != 0 ] && [ "${CHECK_GPU:-1}" != 0 ] || return 0
  local node pids=() bad=()
  for node in "${NODES[@]}"; do
    on_node "$node" bash "$REPO/scripts/tools/check_gpu.sh" "$GPUS_PER_NODE"
    if [ -n "${DRY_RUN:-}" ]; then show_or_run "${COMMAND[@]}"; else "${COMMAND[@]}" & pids+=($!); fi
  done
  for i in "${!pids[@]}"; do wait "${pids[i]}" || bad+=("${NODES[i]}"); done
  [ ${#bad[@]} = 0 ] || { say "the GPUs of ${bad[*]} cannot be used, see above (sbatch --exclude=... , or CHECK_GPU=0)"; exit 1; }
}

start_node() { # INDEX: a step that runs Ray on that node, and on the first one the trainer as well
  local node=${NODES[$1]} command
  if [ "$1" = 0 ]; then command=(bash "$REPO/scripts/ray/head_node.sh" "${DRIVER[@]}")
  else command=(bash "$REPO/ray_utils/start_ray.sh"); fi
  export RANK=$1 RAY_LOG_DIR=$LOG_DIR/$node.ray
  in_container "reasoning360-$RUN_ID-$1" "${command[@]}"
  command=("${COMMAND[@]}")
  on_node "$node" "${STEP_OPTIONS[@]}" "${command[@]}"
  if [ -n "${DRY_RUN:-}" ]; then show_or_run env "RANK=$RANK" "RAY_LOG_DIR=$RAY_LOG_DIR" "${COMMAND[@]}"
  elif [ "$1" = 0 ]; then "${COMMAND[@]}" & STEPS[0]=$!
  else "${COMMAND[@]}" > "$LOG_DIR/$node.log" 2>&1 & STEPS[$1]=$!; fi
}

watch() { # ends with the trainer's exit code, or 1 when a node's Ray ended under it
  local i lost="" deadline status=0
  while kill -0 "${STEPS[0]}" 2> /dev/null; do
    for ((i = 1; i < NODE_COUNT && ${#lost} == 0; i++)); do
      kill -0 "${STEPS[i]}" 2> /dev/null && continue
      lost=${NODES[i]} deadline=$((SECONDS + ${NODE_LOSS_GRACE:-30}))
      say "Ray on node $lost ended while the job ran; the last lines of $LOG_DIR/$lost.log:"
      tail -n 15 "$LOG_DIR/$lost.log" >&2 || true
    done
    if [ -n "$lost" ] && ((SECONDS >= deadline)); then
      say "the trainer has not ended by itself since node $lost was lost; it is stopped"
      kill "${STEPS[0]}" 2> /dev/null || true
      break
    fi
    sleep 1
  done
  wait "${STEPS[0]}" || status=$?
  [ -z "$lost" ] || say "the job failed since node $lost was lost; submitted again it goes on from the last checkpoint"
  [ -z "$lost" ] || [ "$status" != 0 ] || status=1
  [ "$status" = 0 ] || say "the trainer ended with exit code $status; logs in $LOG_DIR"
  exit "$status"
}

stop_all() { # ends what this job started on any node, whatever ended the job
  local status=$? pid deadline=$((SECONDS + 20))
  trap '' TERM INT HUP
  set +e # some have ended already
  for pid in "${STEPS[@]}"; do kill "$pid" 2> /dev/null; done
  while ((SECONDS < deadline)) && any_alive; do sleep 0.5; done
  for pid in "${STEPS[@]}"; do kill -KILL "$pid" 2> /dev/null; done
  wait 2> /dev/null
  [ "${CONTAINER:-none}" != docker ] || remove_containers
  rm -f "$RAY_AUTH_TOKEN_PATH"
  exit "$status"
}

any_alive() {
  local pid
  for pid in "${STEPS[@]}"; do ! kill -0 "$pid" 2> /dev/null || return 0; done
  return 1
}

remove_containers() { # docker's own daemon keeps them when its client is killed
  local i
  for i in "${!NODES[@]}"; do
    on_node "${NODES[i]}" docker rm --force "reasoning360-$RUN_ID-$i"
    "${COMMAND[@]}" > /dev/null 2>&1 &
  done
  wait
}
