# shellcheck shell=bash
# Redis, from Debian. Owns what is Redis's; common.sh says when it is called. It holds only what may be lost: one, without files.

redis_starts=together
redis_ready_within=15
redis_ends_by=TERM
redis_ends_within=5

redis_settings() {
  port REDIS_PORT 16379 6
  size=1
}

redis_missing() { command -v redis-server >/dev/null || echo redis-server; }
redis_fetch() { :; }
redis_sockets() { echo "127.0.0.1:$REDIS_PORT"; }
redis_configure() { fill "$here/redis/redis.conf" PORT="$REDIS_PORT" DIR="$(folder 1)" | put "$(folder 1)/redis.conf"; }
redis_command() { command=(redis-server "$(folder 1)/redis.conf"); }

# PING, and the P of PONG.
redis_ready() { [ "$(ask_bytes 127.0.0.1 "$REDIS_PORT" 'PING\r\n' 2)" = 2b50 ]; }

redis_addresses() { echo "REDIS_URL=redis://127.0.0.1:$REDIS_PORT"; }
