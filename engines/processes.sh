# shellcheck shell=bash
# Servers as processes: started, awaited, held, ended. Sourced by `engines`, after common.sh; names no engine.
#
# A node's folder holds `pid`: the process and when it started. Traps: a process id may belong to another process by now;
# a paused process hears nothing but KILL and CONT; PostgreSQL's children outlive their parent for a moment.

# Prints the state and the time of the start of the process $1, as the kernel has them. Fails if there is none, or only its
# entry: its parent has not asked for it yet. An entry with threads still has its ports.
process() {
  local line
  line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The name may hold anything; what is counted comes after it.
  # shellcheck disable=SC2086
  set -- ${line##*) }
  [ "$1" != Z ] || [ "${18}" -gt 1 ] || return 1
  echo "$1 ${20}"
}

# The state letter of the server in the folder $1; fails if it does not run, whatever its file says.
alive() {
  local pid start letter now
  read -r pid start 2>/dev/null <"$1/pid" || return 1
  read -r letter now < <(process "$pid") || return 1
  [ "$start" = "$now" ] && echo "$letter"
}

pid_of() { cut -d ' ' -f 1 "$1/pid"; }

# How many nodes of this engine run and are not paused.
awake() {
  local number letter count=0
  for number in $(seq "$size"); do
    letter=$(alive "$(folder "$number")") || continue
    [ "$letter" = T ] || count=$((count + 1))
  done
  echo "$count"
}

children() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }

# Holds a server and its children, or lets them go on. It comes first, so that it makes no more of them.
signal() {
  local pid
  pid=$(pid_of "$2")
  kill -s "$1" "$pid" 2>/dev/null || true
  # shellcheck disable=SC2046
  kill -s "$1" $(children "$pid") 2>/dev/null || true
}

# Waits up to $1 seconds until the rest of the line succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# Where a program listens already, if at any of the sockets of the node $1.
taken() {
  local socket
  for socket in $("${engine}_sockets" "$1"); do
    if (exec 3<>"/dev/tcp/${socket%:*}/${socket##*:}") 2>/dev/null; then echo "$socket"; fi
  done
}

# Begins a log anew when it is long; the last one is kept.
turn_log() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -lt 16777216 ] || mv -f "$1" "$1.old"; }

# Closes every descriptor but the three usual ones: the callers' may be locks, or pipes that somebody reads to the end.
close_inherited() {
  local fd
  for fd in "/proc/$BASHPID/fd"/*; do
    fd=${fd##*/}
    [ "$fd" -le 2 ] || eval "exec $fd>&-"
  done
}

launch() {
  local dir socket pid
  local -a command
  dir=$(folder "$1")
  ! alive "$dir" >/dev/null || { say "$1" "runs already"; return; }
  socket=$(taken "$1")
  [ -z "$socket" ] || fail "$1" "another program listens on ${socket//$'\n'/ }; \`ss -ltnp\` names it"
  mkdir -p "$dir"
  "${engine}_configure" "$1"
  "${engine}_command" "$1"
  turn_log "$dir/log"
  # A session of its own: what interrupts a terminal does not reach it.
  (close_inherited; exec setsid "${command[@]}") >>"$dir/log" 2>&1 </dev/null &
  pid=$!
  echo "$pid $(process "$pid" | cut -d ' ' -f 2)" | put "$dir/pid"
}

ready_or_dead() { "${engine}_ready" "$1" || ! alive "$(folder "$1")" >/dev/null; }

await_ready() {
  local dir
  dir=$(folder "$1")
  [ "$(alive "$dir")" != T ] || fail "$1" "it is paused; \`continue\` lets it go on"
  within "$(own ready_within)" ready_or_dead "$1" || fail "$1" "not ready after $(own ready_within) s: see $dir/log"
  alive "$dir" >/dev/null || { tail -n 3 "$dir/log" >&2; fail "$1" "ended at its start: see $dir/log"; }
  say "$1" "ready, $("${engine}_sockets" "$1" | first)"
}

# How the node $1 is, in a word.
condition() {
  local letter
  letter=$(alive "$(folder "$1")") || { echo stopped; return; }
  [ "$letter" != T ] || { echo paused; return; }
  if "${engine}_ready" "$1"; then echo ready; else echo "not ready"; fi
}

# The folders of the engine $1, or of its node number $2, in which a server runs.
running() {
  local dir
  # shellcheck disable=SC2231
  for dir in "$state/$1"/${2:-?}of?; do
    if alive "$dir" >/dev/null; then echo "$dir"; fi
  done
}

number_of() { basename "${1%of?}"; }

gone() { ! alive "$1" >/dev/null; }

# Ends the server in the folder $1: asked first, then made to.
end() {
  signal CONT "$1"
  kill -s "$(own ends_by)" "$(pid_of "$1")" 2>/dev/null || true
  within "$(own ends_within)" gone "$1" || finish "$1"
  rm -f "$1/pid"
  say "$(number_of "$1")" stopped
}

# Ends it without a word. Children are found only while their parent is there: it is held first.
finish() {
  local pid
  pid=$(pid_of "$1")
  signal STOP "$1"
  # shellcheck disable=SC2046
  kill -s KILL $(children "$pid") "$pid" 2>/dev/null || true
  within 10 gone "$1" || fail "$(number_of "$1")" "process $pid does not end"
  rm -f "$1/pid"
}

# Ends the engine $1, or its node number $2, by what is found: settings do not matter.
stop_all() {
  local dirs
  engine=$1
  mapfile -t dirs < <(running "$@")
  [ ${#dirs[@]} -gt 0 ] || { say "${2:-}" "does not run"; return; }
  at_once end "${dirs[@]}"
}

# `kill`, `pause` or `continue` of the engine $2, or of its node number $3.
signal_all() {
  local dir dirs
  engine=$2
  mapfile -t dirs < <(running "${@:2}")
  [ ${#dirs[@]} -gt 0 ] || fail "${3:-}" "does not run"
  for dir in "${dirs[@]}"; do
    case $1 in
      kill) finish "$dir" ;;
      pause) signal STOP "$dir" ;;
      continue) signal CONT "$dir" ;;
    esac
  done
}
