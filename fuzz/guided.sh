#!/usr/bin/env bash
# Runs one target, or all in turn, guided by coverage, on stable Rust: guided.sh TARGET|all SECONDS
#
# The flags are what libFuzzer's runtime asks of the compiler; there is no sanitizer, because there is
# hardly any unsafe code to watch. What is found lies in fuzz/corpus/<target>/, where the gate replays it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=${1:?usage: guided.sh TARGET|all SECONDS}
seconds=${2:?usage: guided.sh TARGET|all SECONDS}
cargo=${CARGO:-cargo}

host=$(rustc --print host-tuple)
built=guided/target/$host/release/volery-fuzz-guided
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Clink-dead-code"
# The target is named even though it is this machine: build scripts are not instrumented then.
RUSTFLAGS=$coverage "$cargo" build --quiet --locked --release --target "$host" --manifest-path guided/Cargo.toml

fuzz() { "$cargo" run --quiet --locked --package volery-fuzz -- "$@"; }

run() {
  local met=guided/target/corpus/$1
  mkdir -p "$met" "corpus/$1"
  fuzz seeds "$1" "$met"
  echo "== $1 for $seconds s"
  local ended=0
  FUZZ_TARGET=$1 "$built" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
    -use_value_profile=1 -print_final_stats=1 -artifact_prefix="corpus/$1/" "$met" || ended=$?
  rmdir --ignore-fail-on-non-empty "corpus/$1"
  # `set -e` does not hold in a function whose failure is looked at.
  return $ended
}

found=0
if [ "$target" = all ]; then targets=$(fuzz list); else targets=$target; fi
for each in $targets; do run "$each" || found=1; done
exit $found
