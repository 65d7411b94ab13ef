# shellcheck shell=bash
# What the scripts of this folder share: where we are, what is installed, how a preset is built.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '== %s\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# as_root COMMAND...: runs it as root, or says what to run instead.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "not root, and there is no sudo; as root, run: $*"
  fi
}

# need_packages GROUP...: installs the packages of these groups of tools/packages that are missing.
need_packages() {
  local group name rest missing=()
  while read -r group name rest; do
    [[ -n $name && " $* " == *" $group "* ]] || continue
    is_installed "$name" || missing+=("$name")
  done <"$root/tools/packages"
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "missing, and this is not Debian: ${missing[*]}"
  say "installing ${missing[*]}"
  local wanted=(-q --no-install-recommends "${missing[@]}")
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y "${wanted[@]}")
  # The package lists may be absent (a container), or name versions that are gone by now.
  if ! apt-get install -s "${wanted[@]}" &>/dev/null || ! as_root "${install[@]}" </dev/null; then
    as_root apt-get update -q </dev/null
    as_root "${install[@]}" </dev/null
  fi >&2
}

# build PRESET [TARGET...]: configures when needed and builds, everything or these targets.
build() {
  local preset=$1
  shift
  say "building ${*:-everything} ($preset)"
  (
    cd "$root" || exit
    mkdir -p build
    if ! cmake --preset "$preset" >"build/configure-$preset.log" 2>&1; then
      cat "build/configure-$preset.log"
      exit 1
    fi
    cmake --build --preset "$preset" ${1:+--target "$@"}
  ) >&2 </dev/null
}
