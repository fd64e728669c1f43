#!/usr/bin/env bash
# What Hashi costs over a bare event loop: server CPU per echoed message of both, in alternating rounds on one processor.
#
#   loadtest/compare-echo.sh [rounds]        default 5
#
# CONNECTIONS (100), IN_FLIGHT (1 per connection), BYTES (256) and MEASURED (seconds per run, 5) may be set, and
# SERVER_CPU (0), HARNESS_CPU (1), SERVER_BIN (another build of the server).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

rounds=${1:-5}
connections=${CONNECTIONS:-100}
in_flight=${IN_FLIGHT:-1}
bytes=${BYTES:-256}

# Server CPU microseconds per message, and messages per second: port pid.
cost() {
    local json cpu rate
    json=$(load "$1" "$2" echo --connections "$connections" --in-flight "$in_flight" --bytes "$bytes" \
        --seconds "${MEASURED:-5}")
    cpu=$(figure server_cpu_us_per_message "$json")
    rate=$(figure messages_per_second "$json")
    echo "$cpu $rate"
}

hashi() { cost "$hashi_port" "$hashi_pid"; }
bare() { cost "$bare_port" "$bare_pid"; }

build
start_hashi WEBSOCKET_MESSAGE_QUEUE_SIZE=1024
start_bare

echo "echo: $connections connections, $in_flight in flight each, $bytes bytes; server CPU microseconds per message"
printf '%5s %10s %12s %10s %12s %8s\n' round hashi messages/s bare messages/s ratio
for ((round = 1; round <= rounds; round++)); do
    # The order alternates, so that a drift of the machine favours neither.
    if ((round % 2)); then
        ours=$(hashi)
        limit=$(bare)
    else
        limit=$(bare)
        ours=$(hashi)
    fi
    read -r our_cost our_rate <<<"$ours"
    read -r bare_cost bare_rate <<<"$limit"
    ratio=$(awk -v a="$our_cost" -v b="$bare_cost" 'BEGIN { printf "%.3f", a / b }')
    echo "$ratio" >>"$work/ratios"
    printf '%5d %10.3f %12.0f %10.3f %12.0f %8s\n' "$round" "$our_cost" "$our_rate" "$bare_cost" "$bare_rate" "$ratio"
done

sort -n "$work/ratios" | awk '
    { ratio[NR] = $1 }
    END {
        median = NR % 2 ? ratio[(NR + 1) / 2] : (ratio[NR / 2] + ratio[NR / 2 + 1]) / 2
        printf "median ratio %.3f (%.3f - %.3f) over %d rounds\n", median, ratio[1], ratio[NR], NR
    }'
