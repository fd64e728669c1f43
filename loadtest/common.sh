# Shared by the measuring scripts: builds, starts and stops servers, reads figures. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
release=${CARGO_TARGET_DIR:-$root/target}/release
harness=$release/hashi-loadtest
# Another build of the server may be measured: SERVER_BIN=path.
server_bin=${SERVER_BIN:-$release/hashi}
work=$(mktemp -d)
started=()

# Servers on one processor, the harness on another.
server_cpu=${SERVER_CPU:-0}
harness_cpu=${HARNESS_CPU:-1}

stop_all() {
    local pid
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    started=()
}

clean_up() {
    stop_all
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build() {
    local packages=(-p hashi-loadtest)
    [[ -n ${SERVER_BIN:-} ]] || packages+=(-p hashi)
    (cd "$root" && cargo build --release --quiet "${packages[@]}")
    ulimit -n "$(ulimit -Hn)"
}

fail() {
    echo "$1" >&2
    [[ -z ${2:-} ]] || tail -n 20 "$2" >&2
    exit 1
}

is_open() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A free port below the range from which clients' ports are taken.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        is_open "$port" || break
    done
    echo "$port"
}

wait_open() { # port pid log
    for _ in $(seq 100); do
        kill -0 "$2" 2>/dev/null || fail "the server ended at its start:" "$3"
        is_open "$1" && return
        sleep 0.1
    done
    fail "the server does not listen on port $1:" "$3"
}

# Starts the server; sets hashi_port and hashi_pid. Arguments: VARIABLE=value settings.
start_hashi() {
    hashi_port=$(free_port)
    env WEBSOCKET_PORT="$hashi_port" WEBSOCKET_MAX_CONNECTIONS=20000 "$@" \
        taskset -c "$server_cpu" "$server_bin" >"$work/hashi.log" 2>&1 &
    hashi_pid=$!
    started+=("$hashi_pid")
    wait_open "$hashi_port" "$hashi_pid" "$work/hashi.log"
}

# Starts the bare loop; sets bare_port and bare_pid.
start_bare() {
    bare_port=$(free_port)
    taskset -c "$server_cpu" "$harness" bare-echo --port "$bare_port" >"$work/bare.log" 2>&1 &
    bare_pid=$!
    started+=("$bare_pid")
    wait_open "$bare_port" "$bare_pid" "$work/bare.log"
}

# Runs a scenario against a server and prints its figures as JSON: port pid scenario flags...
load() {
    local port=$1 pid=$2 json
    shift 2
    if ! json=$("$harness" "$@" --url "ws://127.0.0.1:$port/ws" --server-pid "$pid" --pin "$harness_cpu" --json); then
        fail "the run failed: $* $json"
    fi
    echo "$json"
}

# One number of the whole run, which comes before those of its phases: name json.
figure() {
    local value
    value=$(grep -o "\"$1\":[-0-9.e]*" <<<"$2" | head -n 1 | cut -d : -f 2) || true
    [[ -n $value ]] || fail "no figure $1 in: $2"
    echo "$value"
}
