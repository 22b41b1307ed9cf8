#!/bin/sh
# One Kafka broker for development and tests: `engines/kafka.sh up|down`.
#
# KAFKA_PORT   clients' port on 127.0.0.1 (19092); the controller takes KAFKA_CONTROLLER (the next one)
# KAFKA_DIR    data, log and process id ($XDG_STATE_HOME/volery/kafka); `down` leaves the data
#
# The jars are fetched once, with Maven, into ~/.cache/volery/kafka-4.1.1. Needs `java` (17 or later) and `mvn`.
set -eu

here=$(cd "$(dirname "$0")/kafka" && pwd)
lib=${XDG_CACHE_HOME:-$HOME/.cache}/volery/kafka-4.1.1
dir=${KAFKA_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/volery/kafka}
port=${KAFKA_PORT:-19092}
controller=${KAFKA_CONTROLLER:-$((port + 1))}

die() { echo "kafka: $*" >&2; exit 1; }

# A process that has ended and that nobody has asked for yet does not run.
running() {
  [ -f "$dir/pid" ] || return 1
  case $(ps -o stat= -p "$(cat "$dir/pid")") in "" | Z*) return 1 ;; esac
}

# Waits up to $1 seconds until the rest of the line succeeds.
within() {
  tries=$(($1 * 10)); shift
  while ! "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1
  done
}

fetch() {
  [ ! -f "$lib/complete" ] || return 0
  command -v mvn >/dev/null || die "mvn is missing: it fetches Kafka once"
  mkdir -p "$lib"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$lib"
  touch "$lib/complete"
}

configure() {
  mkdir -p "$dir"
  sed -e "s|@PORT@|$port|; s|@CONTROLLER@|$controller|g; s|@DATA@|$dir/data|" \
    "$here/server.properties" >"$dir/server.properties"
  [ -f "$dir/data/meta.properties" ] || java -cp "$lib/*" kafka.tools.StorageTool \
    format -t dm9sZXJ5LWthZmthLTAwMQ -c "$dir/server.properties" >"$dir/format.log" 2>&1 \
    || die "cannot prepare $dir/data: $(tail -n 1 "$dir/format.log")"
}

started_or_dead() { grep -q 'Kafka Server started' "$dir/broker.log" || ! running; }

up() {
  command -v java >/dev/null || die "java is missing"
  ! running || die "runs already, from $dir"
  fetch
  configure
  : >"$dir/broker.log"
  nohup java -Xms256m -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.properties" \
    -cp "$lib/*" kafka.Kafka "$dir/server.properties" >"$dir/broker.log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  within 60 started_or_dead || die "not ready after a minute: see $dir/broker.log"
  running || die "ended at once: see $dir/broker.log"
  echo "kafka: 127.0.0.1:$port, data in $dir"
}

stopped() { ! running; }

down() {
  running || { rm -f "$dir/pid"; return 0; }
  kill "$(cat "$dir/pid")" 2>/dev/null || true
  within 10 stopped || kill -9 "$(cat "$dir/pid")" 2>/dev/null || true
  within 5 stopped || die "does not end: process $(cat "$dir/pid")"
  rm -f "$dir/pid"
}

case ${1:-} in
  up) up ;;
  down) down ;;
  *) die "say up or down" ;;
esac
