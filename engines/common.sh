# shellcheck shell=bash
# What all engines share: settings, files, fetching, questions over a socket. Sourced by `engines`; names no engine.
# What is done with processes is in processes.sh.
#
# An engine called NAME is these functions, in NAME/engine.sh; N is a node's number, from 1 on:
#
#   NAME_missing       prints the Debian packages that it lacks
#   NAME_settings      its settings, by `setting` and `port`; sets `size`, how many nodes there are
#   NAME_fetch         brings what no package has into the cache
#   NAME_sockets N     prints what must be free, HOST:PORT each on its line; clients' one first
#   NAME_configure N   writes configuration and empty data into `folder N`; what is there stays
#   NAME_command N     sets `command`, the server in the foreground
#   NAME_ready N       whether it serves a client, together with all others that run
#   NAME_addresses     prints KEY=value lines
#
# and these variables: NAME_starts, `together` or `in_turn`; NAME_ready_within and NAME_ends_within, seconds; NAME_ends_by,
# the signal that asks it to end in order.
#
# Traps: an inherited descriptor holds a lock for as long as a server lives: servers inherit none. What is
# written in place may be found half-written: it is made aside, then renamed.

state=$(realpath -m "${ENGINES_DIR:-$here/../target/engines}")
cache=${VOLERY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/volery}
engine=engines

say() { echo "$engine${1:+ $1}: $2"; }
# What the variable NAME_$1 of this engine says.
own() { local name=${engine}_$1; echo "${!name}"; }

fail() { say "$1" "$2" >&2; exit 1; }
die() { fail "" "$*"; }
unavailable() { echo "$engine: $*" >&2; exit 2; }

# Holds the file $1 until this shell ends; others wait.
lock() {
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  flock -w 600 9 || die "another run has held $1 for ten minutes"
}

# The first line of what comes in. It hears the rest, too: `head` ends early, and who still writes is killed.
first() { sed -n 1p; }

# --- settings

# Makes $1 what `up` remembered, else what the environment says, else $2. What was remembered holds until `down`.
setting() {
  local given=${!1:-} kept
  kept=$(sed -n "s/^$1=//p" "$state/$engine/settings" 2>/dev/null || true)
  [ "${given:-$kept}" = "${kept:-$given}" ] || die "it is up with $1=$kept; \`down\` comes before $1=$given"
  printf -v "$1" %s "${kept:-${given:-$2}}"
  settings+="$1=${!1}"$'\n'
}

# The same for a port: by default $2, or $3 above the first port of a set of one's own.
port() {
  is_port ENGINES_PORT "${ENGINES_PORT:-1}"
  [ -n "${!1:-}" ] || [ -z "${ENGINES_PORT:-}" ] || printf -v "$1" %s $((ENGINES_PORT + $3))
  setting "$1" "$2"
  is_port "$1" "${!1}"
}

is_port() { [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] && [ "$2" -le 65535 ] || die "$1 is not a port: $2"; }

replicas() {
  setting REPLICAS 1
  [[ $REPLICAS = [13] ]] || die "REPLICAS is 1 or 3, not $REPLICAS"
  size=$REPLICAS
}

settle() {
  engine=$1 settings=
  "${engine}_settings"
}

remember() { put "$state/$engine/settings" <<<"${settings%$'\n'}"; }

# A node's folder. Data of one node and of one among three do not mix.
folder() { echo "$state/$engine/$1of$size"; }

# --- files

# Writes what comes in to $1: all of it or nothing.
put() {
  mkdir -p "$(dirname "$1")"
  cat >"$1.new"
  mv -f "$1.new" "$1"
}

# Fills the template $1 in: the other arguments are NAME=value, for @NAME@.
fill() {
  local template=$1 each value
  local -a edits=()
  shift
  for each; do
    value=$(sed 's/[\\&|]/\\&/g' <<<"${each#*=}")
    edits+=(-e "s|@${each%%=*}@|$value|g")
  done
  sed "${edits[@]}" "$template"
}

# --- fetching

# Installs Debian packages where that needs no questions. What installs a service may also start it: it is told not to,
# and a machine's own word on that is left alone.
install_packages() (
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || unavailable "missing: $* (Debian's names); install, then try again"
  lock "$cache/install.lock"
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
  fi
  echo "$engine: installing $*" >&2
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"; } \
    >"$cache/install.log" 2>&1 9>&- </dev/null || unavailable "cannot install $*: see $cache/install.log"
)

java_missing() {
  local version
  version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') || true
  [ "${version:-0}" -ge 17 ] || echo default-jre-headless
}

# The folder of jars that the pom.xml of this engine asks for.
jars() { echo "$cache/$engine-$(sed -n 's|^  <version>\(.*\)</version>|\1|p' "$here/$engine/pom.xml")"; }

# Brings them there, with Maven: aside first, so that what is there is whole, and was made from this very pom.xml.
# One run at a time: Maven's own cache does not stand two.
fetch_jars() (
  lib=$(jars)
  ! cmp -s "$here/$engine/pom.xml" "$lib/pom.xml" || exit 0
  lock "$cache/maven.lock"
  ! cmp -s "$here/$engine/pom.xml" "$lib/pom.xml" || exit 0
  command -v mvn >/dev/null || { install_packages maven 9>&- || exit; }
  new=$(mktemp -d "$lib.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  echo "$engine: fetching $(basename "$lib")" >&2
  mvn -q -B --strict-checksums -f "$here/$engine/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$new" >"$new/maven.log" 2>&1 9>&- </dev/null \
    || unavailable "cannot be fetched: $(tail -n 1 "$new/maven.log")"
  cp "$here/$engine/pom.xml" "$new"
  chmod 755 "$new"
  rm -rf "$lib"
  mv "$new" "$lib"
)

# --- asking

# Says something to the server at $1:$2 and hears how many bytes it says it should: the other arguments, in turns.
# Prints the last answer in hexadecimal; nothing if there is none within two seconds.
ask_bytes() (
  exec 3<>"/dev/tcp/$1/$2" || exit 1
  shift 2
  while [ $# -gt 0 ]; do
    printf %b "$1" >&3
    answer=$(timeout 2 head -c "$2" <&3 | od -An -v -tx1 | tr -d ' \n')
    shift 2
  done
  echo "$answer"
) 2>/dev/null

# Says $3 to the server at $1:$2 and prints the first line of its answer; nothing if there is none within two seconds.
ask_line() (
  exec 3<>"/dev/tcp/$1/$2" || exit 1
  printf %b "$3" >&3
  IFS= read -r -t 2 line <&3
  echo "$line"
) 2>/dev/null
