# SPDX-License-Identifier: MIT
# compile: learned_prefetch
# compile: leap
# The main job on this kernel, as a user does it: faults are collected, a model is trained on them, the policy prefetches with it,
# its ledger adds up, the workload computes what it computed before, and nothing is left.
set -u
load=build/loader/cli/rmt-load
agent=build/loader/cli/rmt-agent
group=/sys/fs/cgroup/limited
out=/tmp/out
mkdir -p $out
fail() { echo "prefetch: $*"; [ ! -s $out/agent ] || cat $out/agent; exit 1; }
stat_of() { # POLICY NAME: one counter
	$load stats "$1" -j | tr -d ' \n' | tr ',{' '\n\n' | sed -n "s/^\"$2\":\([0-9]*\).*/\1/p" | head -n 1
}
workload() { # the checksum
	sh -c "echo 0 > $group/cgroup.procs; exec build/bench/rmt-workload stride --mb 32 --passes $1 --work 2" > $out/lines || fail "the workload ended with $?"
	sed -n 's/.*"done".*"checksum":"\([0-9a-f]*\)".*/\1/p' $out/lines
}
start_agent() {
	$agent "$1" > $out/agent 2>&1 &
	agent_pid=$!
	for i in $(seq 100); do grep -q acting $out/agent && return; usleep 100000; done
	fail "the agent does not begin to act"
}

mkswap /dev/nullb0 > /dev/null && swapon /dev/nullb0 || fail "no swap"
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir $group && echo 16M > $group/memory.max
pages=$(cat /proc/sys/vm/page-cluster)

$load doctor || fail "doctor says that this kernel cannot"
$load doctor | grep -q 'works here with fentry' || fail "a stock Debian kernel has fentry; doctor chose something else"
plain=$(workload 1)

$load apply $PACKAGES/learned_prefetch.rmtp --cgroup $group --mode shadow || fail "apply"
$load collect learned_prefetch -o $out/faults.npy > $out/collect 2>&1 &
collector=$!
[ "$(workload 1)" = "$plain" ] || fail "in shadow the workload computed something else"
kill $collector; wait $collector || { cat $out/collect; fail "collect"; }
[ "$(stat_of learned_prefetch issued)" = 0 ] || fail "pages were asked for in shadow"
$load model train $out/faults.npy --inputs 'deltas[0],deltas[1],deltas[2],deltas[3]' --label fault.delta --name next_delta -o $out/model.json ||
	fail "model train"
$load detach learned_prefetch || fail "detach"

$load apply $PACKAGES/learned_prefetch.rmtp --cgroup $group --mode enforce --model next_delta=$out/model.json || fail "apply with the model"
start_agent learned_prefetch
[ "$(workload 2)" = "$plain" ] || fail "under the policy the workload computed something else"
$load stats learned_prefetch
for name in hit major read used issued; do eval "$name=\$(stat_of learned_prefetch $name)"; done
[ "$hit" -gt $((4 * major)) ] || fail "$hit hits and $major misses: coverage below 0.8"
[ "$used" -le "$read" ] || fail "$used pages used of $read read"
[ "$read" -le "$issued" ] || fail "$read pages read of $issued asked for"
[ "$used" -gt $((read / 2)) ] || fail "$used pages used of $read read: accuracy below 0.5"
[ "$(cat /proc/sys/vm/page-cluster)" = 0 ] || fail "the kernel's own readahead is on while the agent acts"

# A killed agent: the policy goes on counting, asks for nothing, and the program is not disturbed. A new one picks up.
kill -9 $agent_pid; wait $agent_pid 2> /dev/null
sleep 2
before=$(stat_of learned_prefetch issued); seen=$(stat_of learned_prefetch events)
[ "$(workload 1)" = "$plain" ] || fail "without its agent the workload computed something else"
[ "$(stat_of learned_prefetch issued)" = "$before" ] || fail "pages were handed to an agent that is dead"
[ "$(stat_of learned_prefetch events)" -gt "$seen" ] || fail "the policy stopped counting with its agent"
start_agent learned_prefetch
workload 1 > /dev/null
[ "$(stat_of learned_prefetch issued)" -gt "$before" ] || fail "a new agent did not pick up"
kill $agent_pid; wait $agent_pid
$load detach learned_prefetch || fail "detach"

$load apply $PACKAGES/leap.rmtp --cgroup $group --mode enforce || fail "apply leap"
start_agent leap
[ "$(workload 1)" = "$plain" ] || fail "under leap the workload computed something else"
$load stats leap
# Small windows come late where a CPU is emulated: here it counts that Leap sees the trend at all.
[ "$(stat_of leap hit)" -gt $(($(stat_of leap major) / 4)) ] || fail "leap covers next to nothing of a strided scan"
kill $agent_pid; wait $agent_pid
$load detach leap || fail "detach leap"

[ "$(cat /proc/sys/vm/page-cluster)" = "$pages" ] || fail "page-cluster was $pages and is $(cat /proc/sys/vm/page-cluster)"
left=$(find /sys/fs/bpf/rmt -type f 2> /dev/null | head -n 3)
[ -z "$left" ] || fail "left behind: $left"
rmdir $group || fail "a process is left in the cgroup"
