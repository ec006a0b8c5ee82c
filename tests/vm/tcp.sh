# SPDX-License-Identifier: MIT
# vm: -n --icount 1 -t 800
# compile: aimd
# compile: by_path
# compile: tcp_watch
# Domain tcp on this kernel, as a user does it: a policy attached to a cgroup governs its connections and no others, over the kernel's own
# algorithm it is that algorithm, its tables and limits act on live connections, and nothing is left.
set -u
load=build/loader/cli/rmt-load
flow=build/bench/net/flow
group=/sys/fs/cgroup/web
out=/tmp/out
mkdir -p $out $group/child
fail() { echo "tcp: $*"; [ ! -s $out/words ] || cat $out/words; exit 1; }
stat_of() { # POLICY NAME: one counter
	$load stats "$1" -j | tr -d ' \n' | tr ',{' '\n\n' | sed -n "s/^\"$2\":\([0-9]*\).*/\1/p" | head -n 1
}
member() { # NAME: of the flow's line of JSON
	sed "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/" $out/flow
}
run() { # CONTROL CGROUP SECONDS [ADDRESS]
	scripts/net exec a -- $flow client "${4:-10.99.0.2}" --port "$port" --flows "1,$1${2:+,$2}" --seconds "$3" --warm-up 2 > $out/flow 2> $out/words || fail "flow $1 ended with $?"
}
above() { awk "BEGIN { exit !($1 > $2) }"; }

$load doctor || fail "doctor says that this kernel cannot"
export RMT_NET=t
scripts/net up --rate 20 --rtt 20 --name t > /dev/null || fail "no test network"
scripts/net exec b -- $flow server > $out/server &
server=$!
for i in $(seq 100); do grep -q ready $out/server && break; usleep 100000; done
port=$(sed -n 's/^ready //p' $out/server)
default=$(cat /proc/sys/net/ipv4/tcp_congestion_control)

$load apply $PACKAGES/aimd.rmtp --cgroup $group --mode enforce || fail "apply"
run '' $group 4; [ "$(member control)" = aimd ] || fail "in the cgroup the control is $(member control)"
mbit=$(member mbit)
above "$mbit" 16 || fail "$mbit Mbit/s of 20"
above 20 "$mbit" || fail "$mbit Mbit/s of 20"
run '' $group/child 1; [ "$(member control)" = aimd ] || fail "in a child of the cgroup the control is $(member control)"
run '' $group 1 fd99::2; [ "$(member control)" = aimd ] || fail "over IPv6 the control is $(member control)"
run '' '' 1; [ "$(member control)" = "$default" ] || fail "outside of the cgroup the control is $(member control)"
$load stats aimd
[ "$(stat_of aimd sockets)" -ge 3 ] || fail "$(stat_of aimd sockets) sockets were counted"
[ "$(stat_of aimd refused)" = 0 ] || fail "$(stat_of aimd refused) sockets were refused"
[ "$(stat_of aimd set_cwnd)" -gt 50 ] || fail "the window was set $(stat_of aimd set_cwnd) times"

# A running connection is detached: it goes on, with what it had.
scripts/net exec a -- $flow client 10.99.0.2 --port "$port" --flows "1,,$group" --seconds 6 --warm-up 1 > $out/flow 2> $out/words &
client=$!
sleep 2
$load detach aimd || fail "detach"
wait $client || fail "the connection broke when the policy went"
[ "$(member control)" = "$default" ] || fail "a detached connection has $(member control)"
above "$(member mbit)" 14 || fail "a detached connection came to $(member mbit) Mbit/s"
grep -q aimd /proc/sys/net/ipv4/tcp_available_congestion_control && fail "the control is still registered"

# Over cubic and changing nothing, it is cubic.
run cubic '' 8; mbit=$(member mbit) rtt=$(member rtt_ms) lost=$(member retransmits)
$load apply $PACKAGES/tcp_watch.rmtp --cgroup $group || fail "apply tcp_watch"
$load collect tcp_watch -o $out/rounds.csv > $out/collect 2>&1 &
collector=$!
run '' $group 8; [ "$(member control)" = tcp_watch ] || fail "the control is $(member control)"
echo "cubic $mbit Mbit/s, $rtt ms, $lost retransmits; watched: $(member mbit), $(member rtt_ms), $(member retransmits)"
above "$(member mbit) * 1.05" "$mbit" || fail "cubic sends $mbit Mbit/s, watched $(member mbit)"
above "$rtt * 1.1" "$(member rtt_ms)" || fail "cubic takes $rtt ms, watched $(member rtt_ms)"
above "$(member rtt_ms) * 1.1" "$rtt" || fail "cubic takes $rtt ms, watched $(member rtt_ms)"
kill $collector; wait $collector || { cat $out/collect; fail "collect"; }
[ "$(wc -l < $out/rounds.csv)" -gt 100 ] || fail "$(wc -l < $out/rounds.csv) rounds were collected"
$load detach tcp_watch || fail "detach tcp_watch"

# by_path keeps the queue short that cubic fills.
$load apply $PACKAGES/by_path.rmtp --cgroup $group --mode enforce || fail "apply by_path"
run '' $group 8
echo "by_path: $(member mbit) Mbit/s, $(member rtt_ms) ms"
above "$(member mbit) * 1.1" "$mbit" || fail "cubic sends $mbit Mbit/s, by_path $(member mbit)"
above "$rtt" "$(member rtt_ms) * 1.15" || fail "cubic takes $rtt ms, by_path $(member rtt_ms): the queue is not shorter"
$load stats by_path
# A live entry acts on a live connection.
scripts/net exec a -- $flow client 10.99.0.2 --port "$port" --flows "1,,$group" --seconds 6 --warm-up 4 > $out/flow 2> $out/words &
client=$!
sleep 2
$load table add by_path/most '10.99.0.0/24, * => fit(20)' --at 1 || fail "table add"
wait $client || fail "the connection broke when an entry was added"
echo "by_path with fit(20): $(member mbit) Mbit/s"
above 15 "$(member mbit)" || fail "a window of a fifth of what fills the path sends $(member mbit) Mbit/s"
$load detach by_path || fail "detach by_path"

kill $server; wait $server 2> /dev/null
scripts/net down
left=$(find /sys/fs/bpf/rmt -type f 2> /dev/null | head -n 3)
[ -z "$left" ] || fail "left behind: $left"
rmdir $group/child $group || fail "a process is left in the cgroup"
