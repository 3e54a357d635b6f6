# A Kafka broker from the jars in $1/libs on the ports $2, and $3 for its controller, until the end of the standard input.
home=$1 port=$2 controller=$3
umask 077
# Where the user may not write to TMPDIR, the system's folder serves.
dir=$(mktemp -d -t outbox-kafka.XXXXXX 2>/dev/null || TMPDIR='' mktemp -d -t outbox-kafka.XXXXXX) || {
  echo "no temporary folder can be made"
  exit 1
}
cd "$dir" || exit 1
broker=
remove() {
  [ -z "$broker" ] || kill -KILL "$broker"
  wait
  # For who waits for the broker in vain; else nobody listens any more.
  tail -n 30 output
  cd / && rm -rf "$dir"
}
trap remove EXIT
trap 'exit 1' HUP INT TERM
trap '' PIPE
run() {
  exec java -Xmx512m -XX:+UseSerialGC -XX:-UsePerfData -XX:TieredStopAtLevel=1 -Dlog4j2.level=WARN -cp "$home/libs/*" "$@"
}

cat >server.properties <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
END
(run kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c server.properties) >output 2>&1 || exit 1
run kafka.Kafka server.properties >output 2>&1 &
broker=$!
echo "ready 127.0.0.1:$port"
read -r _
