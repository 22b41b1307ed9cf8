# shellcheck shell=bash
# What `engines` and `../cluster/cluster` can be told, and in which order things are done. Sourced by both, after
# common.sh and processes.sh. The caller has `all`, the names that there are; `home`, the variable that says where state is;
# and `usage`. With `one_by_one=yes` each is ready before the next one begins: later ones stand on earlier ones.
#
# Trap: settings are variables, and one engine's must not be the next one's. Each is done in a subshell.

wrong() { usage >&2; exit 1; }

# Does $1 for each of the other arguments at once; the worst outcome is the outcome.
at_once() {
  local work=$1 each child worst=0
  local -a children=()
  shift
  for each; do "$work" "$each" & children+=($!); done
  for child in "${children[@]}"; do wait "$child" || worst=$(($? > worst ? $? : worst)); done
  return "$worst"
}

# What is missing is installed or fetched for all before anything starts: neither apt-get nor Maven may run twice at once.
have() {
  local each
  local -a missing
  mapfile -t missing < <(for each; do "${each}_missing"; done | sort -u)
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
  for each; do (settle "$each"; "${each}_fetch"); done
}

# Starts what does not run of the engine $1, or of its node number $2, and waits until it is ready.
bring_up() {
  local number
  local -a numbers
  lock "$state/$1/lock"
  settle "$1"
  remember
  mapfile -t numbers < <(seq "${2:-1}" "${2:-$size}")
  [ "${numbers[-1]}" -le "$size" ] || die "there is no number ${2:-}, only $size"
  # What takes its turn is ready before the next one begins; ready again, now that all of them are there, is the last word.
  for number in "${numbers[@]}"; do
    launch "$number"
    [ "$(own starts)" = together ] || await_ready "$number" >/dev/null
  done
  for number in "${numbers[@]}"; do await_ready "$number"; done
}

up() {
  local each
  have "$@"
  [ "${one_by_one:-}" = yes ] || { at_once bring_up "$@"; return; }
  for each; do (bring_up "$each"); done
}

take_down() {
  lock "$state/$1/lock"
  stop_all "$1"
  rm -f "$state/$1/settings"
}

# One line for each node: what it is, where, and how it is.
report() {
  settle "$1"
  local number
  for number in $(seq "$size"); do
    printf '%-10s %s  %-18s %-9s %s\n' "$engine" "$number" "$("${engine}_sockets" "$number" | first)" \
      "$(condition "$number")" "$(folder "$number")/log"
  done
}

addresses() {
  settle "$1"
  "${engine}_addresses"
}

# The engines named, or all of them; refused if there is no such engine.
named() {
  local each
  [ $# -gt 0 ] || set -- "${all[@]}"
  for each; do [[ " ${all[*]} " = *" $each "* ]] || die "there is no engine called $each: ${all[*]}"; done
  names=("$@")
}

one() {
  [ $# -ge 1 ] && [ $# -le 2 ] || wrong
  [[ ${2:-1} =~ ^[1-9]$ ]] || die "the number of a node is 1 or more, not $2"
  named "$1"
}

# Does what the arguments say.
obey() {
  local word=${1:-} each
  shift || wrong
  case $word in
    up) named "$@"; up "${names[@]}" ;;
    down) named "$@"; at_once take_down "${names[@]}" ;;
    status) named "$@"; for each in "${names[@]}"; do (report "$each"); done ;;
    env) named "$@"; echo "$home=$state"; for each in "${names[@]}"; do (addresses "$each"); done ;;
    start) one "$@"; have "$1"; bring_up "$@" ;;
    stop) one "$@"; lock "$state/$1/lock"; stop_all "$@" ;;
    kill | pause | continue) one "$@"; signal_all "$word" "$@" ;;
    *) wrong ;;
  esac
}
