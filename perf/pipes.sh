#!/usr/bin/env bash
# Measures produce and consume of 64 KiB records beside plain pipes: perf/pipes.sh [ROUNDS]
#
#   plain     records | cat | cat > /dev/null                               two pipes, no message
#   devnull   records | loopline produce, loopline consume > /dev/null      one pipe
#   cat       records | loopline produce, loopline consume | cat > /dev/null
#
# The three take turns, so that each meets the same machine; the last lines tell the slowest, the
# middle and the fastest run of each, in GB/s of payload. LOOPLINE is the program, else the one of
# the release build.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/lib.sh"

rounds="${1:-10}"
if [[ -z "${LOOPLINE:-}" ]]; then
  need_packages build
  build release loopline-cli
fi
tool="${LOOPLINE:-$root/build/bin/loopline}"

folder="$(mktemp -d /dev/shm/loopline-pipes-XXXXXX)"
export LOOPLINE_DIR="$folder/instance" LOOPLINE_SHM="$folder/shm"
mkdir "$LOOPLINE_DIR"
trap 'rm -rf "$folder"' EXIT

# 1024 records, each its length (little-endian) and 64 KiB; read 16 times over: 1 GiB a run.
{ printf '\0\0\1\0'; head -c 65536 /dev/zero; } > "$folder/one"
for _ in {1..32}; do cat "$folder/one"; done > "$folder/some"
for _ in {1..32}; do cat "$folder/some"; done > "$folder/records"
times=16
count=$((1024 * times))
files=()
for ((index = 0; index < times; ++index)); do files+=("$folder/records"); done

through_station() {
  "$tool" station add pipe --quiet
  if [[ "$1" == cat ]]; then
    "$tool" consume pipe --records length-prefixed --follow --from earliest --count $count \
      | cat > /dev/null &
  else
    "$tool" consume pipe --records length-prefixed --follow --from earliest --count $count \
      > /dev/null &
  fi
  until "$tool" station info pipe --json | grep -q '"consumers":1'; do :; done
  begin=$(date +%s%N)
  cat "${files[@]}" | "$tool" produce pipe --records length-prefixed --quiet
  wait
  end=$(date +%s%N)
  "$tool" station rm pipe --yes --quiet
}

run() {
  local begin end
  if [[ "$1" == plain ]]; then
    begin=$(date +%s%N)
    cat "${files[@]}" | cat | cat > /dev/null
    end=$(date +%s%N)
  else
    through_station "$1"
  fi
  awk -v name="$1" -v ns=$((end - begin)) -v bytes=$((count * 65536)) \
    'BEGIN { printf "%-8s %.2f GB/s\n", name, bytes / ns }'
}

for ((round = 0; round < rounds; ++round)); do
  for name in plain devnull cat; do run $name; done
done | tee "$folder/figures"
for name in plain devnull cat; do
  grep "^$name " "$folder/figures" | sort -n -k 2 | awk -v name=$name '
    { rate[NR] = $2 }
    END { printf "%-8s slowest %.2f, middle %.2f, fastest %.2f GB/s of %d runs\n",
          name, rate[1], rate[int((NR + 1) / 2)], rate[NR], NR }'
done
