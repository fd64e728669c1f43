# The commands of the project. `make run` and `make test` need Rust and nothing else.

.PHONY: run test check toolchain bench load docs

# Builds the release and serves on port 3001 (WEBSOCKET_PORT).
run:
	cargo run --release

# Everything that must hold: formatting, lints, documents, tests.
test: check
	cargo test --workspace --no-fail-fast

check: toolchain
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# rustfmt and clippy come with most installations of Rust, but not with a minimal one.
toolchain:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

# Criterion benches of the hot functions.
bench:
	cargo bench

# The figures of PERF.md: cost of an echo beside a bare epoll loop, fan-out, idle memory.
load:
	loadtest/compare-echo.sh
	loadtest/measure.sh

# Writes the configuration table into docs/OPERATIONS.md.
docs:
	cargo run --quiet -- config-table > target/config-table.md
	sed -i -e '/configuration table: begin/,/configuration table: end/{//!d}' \
		-e '/configuration table: begin/r target/config-table.md' docs/OPERATIONS.md
