# shellcheck shell=bash
# Kafka: brokers that are their own controllers, from Maven Central. Owns what is Kafka's; common.sh says when it is called.
#
# Traps: acknowledged is not synced: one broker flushes each message, three have it twice. Three brokers find their
# quorum only together, and the last to be stopped waits for one that is gone: it is ended after a while.

kafka_starts=together
kafka_ready_within=90
kafka_ends_by=TERM
kafka_ends_within=5

kafka_settings() {
  replicas
  # The usual 7 days would send the readers of a partition that is quiet for so long back to 0.
  setting KAFKA_OFFSETS_MINUTES 2147483647
  # Kafka's own. Who says less often than it must that it is there is no broker of the cluster in between.
  setting KAFKA_SESSION_MS 9000
  setting KAFKA_HEARTBEAT_MS 2000
  port KAFKA_PORT 19092 0
  port KAFKA_CONTROLLER_PORT 19095 3
}

kafka_missing() { java_missing; }
kafka_fetch() { fetch_jars; }

kafka_sockets() {
  echo "127.0.0.1:$((KAFKA_PORT + $1 - 1))"
  echo "127.0.0.1:$((KAFKA_CONTROLLER_PORT + $1 - 1))"
}

kafka_voters() {
  local n
  for n in $(seq "$size"); do echo "$n@127.0.0.1:$((KAFKA_CONTROLLER_PORT + n - 1))"; done | paste -sd ,
}

# The broker's configuration, with its data in $2.
kafka_properties() {
  fill "$here/kafka/server.properties" NODE="$1" DATA="$2" VOTERS="$(kafka_voters)" REPLICAS="$size" \
    OFFSETS_MINUTES="$KAFKA_OFFSETS_MINUTES" SESSION="$KAFKA_SESSION_MS" HEARTBEAT="$KAFKA_HEARTBEAT_MS" \
    PORT=$((KAFKA_PORT + $1 - 1)) CONTROLLER=$((KAFKA_CONTROLLER_PORT + $1 - 1))
  cat "$here/kafka/durable-$size.properties"
}

kafka_configure() {
  local dir
  dir=$(folder "$1")
  kafka_properties "$1" "$dir/data" | put "$dir/server.properties"
  [ -d "$dir/data" ] || kafka_format "$1" "$dir"
}

# The id of the cluster: the same for all of a set's brokers and after every start, another one for another set.
kafka_id() {
  dirname "$(folder 1)" | md5sum | head -c 16 | base64 | tr '+/' '-_' | tr -d '='
}

# Prepares the data aside.
kafka_format() {
  rm -rf "$2/data.new"
  kafka_properties "$1" "$2/data.new" >"$2/format.properties"
  java -cp "$(jars)/*" kafka.tools.StorageTool format -t "$(kafka_id)" -c "$2/format.properties" \
    >"$2/format.log" 2>&1 9>&- || fail "$1" "cannot prepare $2/data: $(tail -n 1 "$2/format.log")"
  mv "$2/data.new" "$2/data"
}

kafka_command() {
  command=(java -Xms256m -Xmx512m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Dlog4j2.configurationFile="$here/kafka/log4j2.properties"
    -cp "$(jars)/*" kafka.Kafka "$(folder "$1")/server.properties")
}

# The broker knows all brokers that run: a request for metadata of no topic (version 4), and how many brokers the answer has.
kafka_ready() {
  local answer
  answer=$(ask_bytes 127.0.0.1 $((KAFKA_PORT + $1 - 1)) \
    '\0\0\0\x0f\0\x03\0\x04\0\0\0\x01\xff\xff\0\0\0\0\0' 16)
  [ ${#answer} -eq 32 ] && [ $((16#${answer:24})) -ge "$(awake)" ]
}

kafka_addresses() {
  local n
  printf 'KAFKA_REPLICAS=%s\nKAFKA_BROKERS=' "$size"
  for n in $(seq "$size"); do kafka_sockets "$n" | first; done | paste -sd ,
}
