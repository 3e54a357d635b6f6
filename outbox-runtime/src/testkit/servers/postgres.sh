# A PostgreSQL server from the programs in the folder $1, until the end of the standard input.
bin=$1
umask 077
# Where the user may not write to TMPDIR, the system's folder serves.
dir=$(mktemp -d -t outbox-pg.XXXXXX 2>/dev/null || TMPDIR='' mktemp -d -t outbox-pg.XXXXXX) || {
  echo "no temporary folder can be made"
  exit 1
}
cd "$dir" || exit 1
remove() {
  [ ! -e data/postmaster.pid ] || "$bin/pg_ctl" -D data -m immediate -w stop
  cd / && rm -rf "$dir"
}
trap remove EXIT
trap 'exit 1' HUP INT TERM
fail() {
  cat log
  exit 1
}

"$bin/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync >log 2>&1 || fail
cat >>data/postgresql.conf <<END
listen_addresses = ''
unix_socket_directories = '$dir'
max_connections = 400
fsync = off
full_page_writes = off
END
"$bin/pg_ctl" -D data -l log -w -t 180 start >>log 2>&1 || fail
echo "ready $dir"
exec >/dev/null
read -r _
