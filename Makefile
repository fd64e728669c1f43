# The commands of the project. `make run` needs Rust and nothing else, `make test` also valgrind.

.PHONY: run test check toolchain simulate replay bench counts counts-accept valgrind load peers node flamegraph perf docs

# Builds the release and serves on port 3001 (WEBSOCKET_PORT).
run:
	cargo run --release

# Everything that must hold: formatting, lints, documents, tests, instruction counts.
test: check
	cargo test --workspace --no-fail-fast
	$(MAKE) --no-print-directory counts

check: toolchain
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# rustfmt and clippy come with most installations of Rust, but not with a minimal one.
toolchain:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

# Many seeds of the simulation, with all assertions: make simulate SEEDS=10000. It prints what happened in them.
SEEDS ?= 1000
simulate:
	SEEDS=$(SEEDS) cargo test --profile simulation --test simulation many -- --ignored --nocapture

# One seed again, with all that happened: make replay SEED=7.
replay:
	@test -n "$(SEED)" || { echo "which seed? make replay SEED=7" >&2; exit 2; }
	SEED=$(SEED) cargo test --test simulation replay -- --ignored --nocapture

# Times of the hot functions, by criterion.
bench:
	cargo bench --bench times

# Instructions of the hot functions, compared with benches/instructions/baseline.txt.
counts: valgrind
	cargo bench --bench instructions

# Makes what is counted now the baseline.
counts-accept: valgrind
	cargo bench --bench instructions -- accept

valgrind:
	@command -v valgrind >/dev/null || { apt-get update && apt-get install -y valgrind; } || \
		{ echo "instruction counts need valgrind, and apt-get could not install it" >&2; exit 1; }

# The server beside a bare event loop, the limit of the machine. Some minutes, on two quiet cores.
load:
	cargo build --release
	cargo run --release -p hashi-loadtest -- compare --peer bare

# The server beside all its peers (loadtest/peers); writes PERF.md. About an hour, on two quiet cores.
peers: node
	npm ci --prefix loadtest/peers
	cargo build --release
	cargo build --release -p hashi-peers
	cargo run --release -p hashi-loadtest -- compare --write PERF.md

# Some peers run on Node.
node:
	@command -v npm >/dev/null || { apt-get update && apt-get install -y nodejs npm; } || \
		{ echo "some peers need Node and npm, and apt-get could not install them" >&2; exit 1; }

# Where the server spends its time: make flamegraph SCENARIO=fanout-32 writes docs/flamegraphs/fanout-32.svg and prints a
# table. Linux only. The scenarios are those of `make peers`.
SCENARIO ?= echo-1
flamegraph: perf
	cargo build --release -p hashi -p hashi-loadtest
	target/release/hashi-loadtest flamegraph --scenario $(SCENARIO) --out docs/flamegraphs/$(SCENARIO).svg

perf:
	@command -v perf >/dev/null || { apt-get update && apt-get install -y linux-perf; } || \
		{ echo "flame graphs need perf, and apt-get could not install it" >&2; exit 1; }

# Writes the configuration table into docs/OPERATIONS.md.
docs:
	cargo run --quiet -- config-table > target/config-table.md
	sed -i -e '/configuration table: begin/,/configuration table: end/{//!d}' \
		-e '/configuration table: begin/r target/config-table.md' docs/OPERATIONS.md
