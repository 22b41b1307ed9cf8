# shellcheck shell=bash
# PostgreSQL, from Debian. Owns what is PostgreSQL's; common.sh says when it is called.
#
# Traps: it refuses to be root, and its user may not be let through the folders above ours: then it runs as that user with
# the right to pass through them, and no other. TERM would wait for clients to leave: INT sends them away.

postgres_starts=together
postgres_ready_within=30
postgres_ends_by=INT
postgres_ends_within=10

postgres_settings() {
  port POSTGRES_PORT 15432 7
  size=1
}

# The newest one's programs; Debian keeps them off the path.
postgres_bin() {
  local bin
  bin=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)
  [ -x "$bin" ] || bin=$(command -v postgres) || return 1
  dirname "$bin"
}

postgres_missing() { postgres_bin >/dev/null || echo postgresql; }
postgres_fetch() { :; }
postgres_sockets() { echo "127.0.0.1:$POSTGRES_PORT"; }

# Sets `as`: what goes before a command so that it runs as somebody who is not root, and reaches the folder $1.
postgres_user() {
  as=()
  [ "$(id -u)" = 0 ] || return 0
  as=(setpriv --reuid=postgres --regid=postgres --init-groups)
  "${as[@]}" test -d "$1/." || as+=(--inh-caps=+dac_read_search --ambient-caps=+dac_read_search)
  "${as[@]}" test -d "$1/." || die "the user postgres cannot reach $1: set ENGINES_DIR to another folder"
}

postgres_configure() {
  local dir as
  dir=$(folder 1)
  fill "$here/postgres/postgresql.conf" PORT="$POSTGRES_PORT" | put "$dir/postgresql.conf"
  [ -d "$dir/data" ] || { postgres_user "$dir"; postgres_init "$dir"; }
  # It does not run; but while the entry of a killed one waits for its parent, PostgreSQL would take it for alive.
  rm -f "$dir/data/postmaster.pid"
}

# Prepares the data aside, with the database in it.
postgres_init() {
  local bin
  bin=$(postgres_bin)
  rm -rf "$1/data.new"
  mkdir -m 700 "$1/data.new"
  [ ${#as[@]} -eq 0 ] || chown postgres: "$1/data.new"
  { "${as[@]}" "$bin/initdb" -D "$1/data.new" -U volery --auth=trust --no-locale --encoding=UTF8 \
    && echo 'CREATE DATABASE volery' | "${as[@]}" "$bin/postgres" --single -D "$1/data.new" postgres; } \
    >"$1/init.log" 2>&1 9>&- || die "cannot prepare $1/data: see $1/init.log"
  mv "$1/data.new" "$1/data"
}

postgres_command() {
  local dir as
  dir=$(folder 1)
  postgres_user "$dir"
  command=("${as[@]}" "$(postgres_bin)/postgres" -D "$dir/data" -c config_file="$dir/postgresql.conf")
}

postgres_ready() { "$(postgres_bin)/pg_isready" -q -t 2 -h 127.0.0.1 -p "$POSTGRES_PORT" -U volery -d volery; }

postgres_addresses() { echo "POSTGRES_URL=postgres://volery@127.0.0.1:$POSTGRES_PORT/volery"; }
