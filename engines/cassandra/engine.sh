# shellcheck shell=bash
# Cassandra, from Maven Central; it stands for ScyllaDB too. Owns what is Cassandra's; common.sh says when it is called.
#
# Traps: nodes join one after another. The usual commit log may lose ten seconds of a node: ours is synced before the answer.
# A node serves clients before the others know of it, and says that there are too few: ready means that it reads from all.

cassandra_starts=in_turn
cassandra_ready_within=120
cassandra_ends_by=TERM
cassandra_ends_within=15

cassandra_settings() {
  replicas
  setting CASSANDRA_HOST 127.0.0.11
  [[ $CASSANDRA_HOST =~ ^([0-9]+\.){3}[0-9]+$ ]] || die "CASSANDRA_HOST is not an address: $CASSANDRA_HOST"
  port CASSANDRA_PORT 19042 8
  port CASSANDRA_STORAGE_PORT 17000 9
  port CASSANDRA_JMX_PORT 17199 11
}

cassandra_missing() { java_missing; }
cassandra_fetch() { fetch_jars; }

# Each node has an address of its own, as all have the same ports.
cassandra_host() { echo "${CASSANDRA_HOST%.*}.$((${CASSANDRA_HOST##*.} + $1 - 1))"; }

cassandra_seeds() {
  local n
  for n in $(seq "$size"); do echo "$(cassandra_host "$n"):$CASSANDRA_STORAGE_PORT"; done | paste -sd ,
}

cassandra_sockets() {
  local host
  host=$(cassandra_host "$1")
  printf '%s\n' "$host:$CASSANDRA_PORT" "$host:$CASSANDRA_STORAGE_PORT" "127.0.0.1:$((CASSANDRA_JMX_PORT + $1 - 1))"
}

cassandra_configure() {
  local dir
  dir=$(folder "$1")
  fill "$here/cassandra/cassandra.yaml" DIR="$dir/data" HOST="$(cassandra_host "$1")" SEEDS="$(cassandra_seeds)" \
    PORT="$CASSANDRA_PORT" STORAGE="$CASSANDRA_STORAGE_PORT" STORAGE_TLS=$((CASSANDRA_STORAGE_PORT + 1)) \
    | put "$dir/cassandra.yaml"
}

cassandra_command() {
  local dir lib
  dir=$(folder "$1") lib=$(jars)
  command=(java -javaagent:"$lib/jamm-0.4.0.jar" "@$here/cassandra/jvm.options"
    -Dcassandra.jmx.local.port=$((CASSANDRA_JMX_PORT + $1 - 1))
    -Dcassandra.config="file://${dir// /%20}/cassandra.yaml" -Dcassandra.storagedir="$dir/data"
    -Dlogback.configurationFile="$here/cassandra/logback.xml" -Dcassandra-foreground=yes
    -cp "$lib/*" org.apache.cassandra.service.CassandraDaemon)
}

# In frames of the native protocol, version 4: STARTUP, then a read of three copies' table that asks as many as run,
# consistency 1, 2 or 3. READY and then a RESULT (8) is good.
cassandra_ready() {
  local query='SELECT view_name FROM system_distributed.view_build_status LIMIT 1' length answer
  printf -v length '\\x%02x' $((${#query} + 7))
  answer=$(ask_bytes "$(cassandra_host "$1")" "$CASSANDRA_PORT" \
    '\x04\0\0\0\x01\0\0\0\x16\0\x01\0\x0bCQL_VERSION\0\x053.0.0' 9 \
    "$(printf '\\x04\\0\\0\\0\\x07\\0\\0\\0%s\\0\\0\\0\\x%02x%s\\0\\x0%s\\0' "$length" ${#query} "$query" "$(awake)")" 5)
  [ "${answer:8}" = 08 ]
}

cassandra_addresses() {
  local n
  printf 'CASSANDRA_REPLICAS=%s\nCASSANDRA_NODES=' "$size"
  for n in $(seq "$size"); do cassandra_sockets "$n" | first; done | paste -sd ,
}
