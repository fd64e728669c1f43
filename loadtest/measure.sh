#!/usr/bin/env bash
# Fan-out and idle cost of Hashi: deliveries per second from 1 publisher to 1,000 receivers with 32 messages in flight, and
# memory and CPU of 5,000 idle connections.
#
#   loadtest/measure.sh
#
# RECEIVERS (1000), IN_FLIGHT (32), BYTES (256), MEASURED (seconds of fan-out, 10), IDLE_CONNECTIONS (5000) and HELD
# (seconds they are held, 35: longer than a heartbeat interval) may be set, and SERVER_CPU (0), HARNESS_CPU (1), SERVER_BIN
# (another build of the server).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

receivers=${RECEIVERS:-1000}
in_flight=${IN_FLIGHT:-32}
bytes=${BYTES:-256}
idle=${IDLE_CONNECTIONS:-5000}
held=${HELD:-35}

measure_fanout() {
    local json
    # The queue must hold what is in flight, with room to spare.
    start_hashi WEBSOCKET_MESSAGE_QUEUE_SIZE=1024
    json=$(load "$hashi_port" "$hashi_pid" fanout --connections "$receivers" --in-flight "$in_flight" --bytes "$bytes" \
        --seconds "${MEASURED:-10}")
    stop_all
    echo "fanout: 1 to $receivers, $in_flight in flight, $bytes bytes"
    row "deliveries per second" %12.0f deliveries_per_second "$json"
    row "server CPU us per delivery" %12.3f server_cpu_us_per_delivery "$json"
    row "latency p50, us" %12.1f latency_p50_us "$json"
    row "latency p99, us" %12.1f latency_p99_us "$json"
    row "gaps" %12d gaps "$json"
    row "server memory, MiB" %12.1f server_rss_mib "$json"
}

measure_idle() {
    local json
    # A server of its own: memory that another run has freed would hide what connections take.
    start_hashi
    json=$(load "$hashi_port" "$hashi_pid" idle --connections "$idle" --seconds "$held")
    stop_all
    echo "idle: $idle connections, held for $held s"
    row "server bytes per connection" %12.0f server_bytes_per_connection "$json"
    row "server CPU, percent" %12.2f server_cpu_percent "$json"
    row "server memory, MiB" %12.1f server_rss_mib "$json"
}

row() { # label format figure json
    local value
    value=$(figure "$3" "$4")
    printf "  %-30s $2\n" "$1" "$value"
}

build
measure_fanout
measure_idle
