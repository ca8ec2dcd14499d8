#!/usr/bin/env bash
# Starts Ray on this machine and joins it with the others: run it on every machine with its own RANK (0 is the head).
#   RANK=0 bash ray_utils/start_ray.sh
# The head writes its address to RAY_HEAD_FILE, which all machines see; the others wait for it there, and ignore what another
# run (RAY_RUN_ID) or a head that no longer answers has left. End it with `ray stop`.
#   RAY_HEAD_FILE     ray_utils/ray_head_ip.txt        RAY_RUN_ID   SLURM_JOB_ID, else nothing
#   RAY_START_TIMEOUT seconds to wait for the head: 360    RAY_PORT   of the head: a free one
#   RAY_NUM_CPUS, RAY_NUM_GPUS   what Ray may use: all that is found      RAY_MEMORY   bytes: as Ray counts
#   RAY_NODE_IP, GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME   this machine's address and interface: those towards RAY_PEER or the head
#   RAY_AUTH_MODE=token, RAY_AUTH_TOKEN_PATH   only who has the token of that file may join and use this Ray
#   RAY_BLOCK=1       stay until Ray ends, then copy its logs to RAY_LOG_DIR        PYTHON   the interpreter that has Ray
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rank=${RANK:?"set RANK: 0 on the head, 1, 2, ... on the others"}
head_file=${RAY_HEAD_FILE:-$here/ray_head_ip.txt}
run_id=${RAY_RUN_ID:-${SLURM_JOB_ID:-none}}
limit=${RAY_START_TIMEOUT:-360}
python=${PYTHON:-python3}
# a token that some Ray left in the home folder would lock out whoever joins without being told of it
export RAY_AUTH_MODE=${RAY_AUTH_MODE:-disabled}
# told to stop, Ray would wait up to 30 s for work that is to end with it
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=${RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S:-0}
ray() { "$python" -m ray.scripts.scripts "$@"; }
say() { echo "start_ray: $(hostname): $*" >&2; }

host_of() { local host=${1%:*}; host=${host#[}; echo "${host%]}"; }
answers() { timeout 3 bash -c "exec 3<>/dev/tcp/$(host_of "$1")/${1##*:}" 2>/dev/null; }

find_network() { # PEER
  local interface
  read -r ip interface port < <("$python" "$here/node_address.py" ${1:+"$1"}) || { say "this machine's address was not found"; exit 1; }
  port=${RAY_PORT:-$port}
  export RAY_NODE_IP=$ip VLLM_HOST_IP=${VLLM_HOST_IP:-$ip}
  export GLOO_SOCKET_IFNAME=${GLOO_SOCKET_IFNAME:-$interface} NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME:-$interface}
  say "address $ip, interface $interface"
}

write_head_file() { # ADDRESS
  mkdir -p "$(dirname "$head_file")"
  echo "$1 $run_id" > "$head_file.$$" && mv -f "$head_file.$$" "$head_file"
}

wait_for_head() {
  local deadline=$((SECONDS + limit)) found id why="" last=""
  while ((SECONDS < deadline)); do
    found="" id=""
    [ ! -f "$head_file" ] || read -r found id < "$head_file" || true
    if [ -z "$found" ]; then why="$head_file is not there yet"
    elif [ "$id" != "$run_id" ]; then why="$head_file is stale: it is of run $id, this is $run_id"
    elif ! answers "$found"; then why="no head answers at $found (of $head_file)"
    else head=$found; return; fi
    [ "$why" = "$last" ] || say "waiting for the head: $why"
    last=$why
    sleep 1
  done
  say "no head within $limit s: $why"
  exit 1
}

descendants() { # PID
  local pid
  for pid in $(pgrep -P "$1" || true); do echo "$pid"; descendants "$pid"; done
}

keep_logs() {
  local session
  session=$(find "${RAY_TEMP_DIR:-/tmp/ray}" -maxdepth 1 -type d -name 'session_2*' 2>/dev/null | sort | tail -1)
  [ -n "${RAY_LOG_DIR:-}" ] && [ -n "$session" ] || return 0
  mkdir -p "$RAY_LOG_DIR"
  cp -r "$session/logs/." "$RAY_LOG_DIR/" && say "Ray's logs are in $RAY_LOG_DIR"
  [ -z "${RAY_TEMP_DIR:-}" ] || rm -rf "$RAY_TEMP_DIR"
}

arguments=(--disable-usage-stats)
[ -z "${RAY_NUM_CPUS:-}" ] || arguments+=("--num-cpus=$RAY_NUM_CPUS")
[ -z "${RAY_NUM_GPUS:-}" ] || arguments+=("--num-gpus=$RAY_NUM_GPUS")
[ -z "${RAY_MEMORY:-}" ] || arguments+=("--memory=$RAY_MEMORY")
[ -z "${RAY_BLOCK:-}" ] || arguments+=(--block)

if [ "$rank" = 0 ]; then
  find_network "${RAY_PEER:-}"
  rm -f "$head_file"
  case $ip in *:*) address="[$ip]:$port" ;; *) address=$ip:$port ;; esac
  arguments+=(--head "--port=$port" --include-dashboard=false)
  [ -z "${RAY_TEMP_DIR:-}" ] || arguments+=("--temp-dir=$RAY_TEMP_DIR")
else
  wait_for_head
  find_network "$(host_of "$head")"
  address=$head
  arguments+=("--address=$head")
fi
arguments+=("--node-ip-address=$ip")

if [ -z "${RAY_BLOCK:-}" ]; then
  ray start "${arguments[@]}"
  [ "$rank" != 0 ] || write_head_file "$address"
  exit
fi
# Ray may end by itself; told to stop, it must end before its logs are complete
child="" told="" family=""
stop() {
  told=1
  [ -n "$child" ] || exit 0
  family=$(descendants "$child")
  kill "$child" 2>/dev/null || true
}
trap stop TERM INT HUP
trap keep_logs EXIT
log=${RAY_LOG_DIR:+$RAY_LOG_DIR/ray_start.log}
[ -z "$log" ] || mkdir -p "$RAY_LOG_DIR"
"$python" -m ray.scripts.scripts start "${arguments[@]}" > "${log:-/dev/stdout}" 2>&1 & child=$!
if [ "$rank" = 0 ]; then
  until answers "$address" || ! kill -0 "$child" 2>/dev/null; do sleep 0.2; done
  write_head_file "$address"
fi
status=0
wait "$child" || status=$?
while kill -0 "$child" 2>/dev/null; do wait "$child" || status=$?; done # the signal ended the first wait, not Ray
for pid in $family; do kill -KILL "$pid" 2>/dev/null || true; done # its agents may outlive it while they look for the head
[ -z "$told" ] || exit 0
[ "$status" = 0 ] || { say "Ray ended with exit code $status${log:+:}"; [ -z "$log" ] || tail -n 20 "$log" >&2; }
exit "$status"
