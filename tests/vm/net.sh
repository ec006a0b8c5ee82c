# SPDX-License-Identifier: MIT
# vm: -n --icount 1
# The test network on this kernel, with netem and in virtual time: the kernel's three controls keep within rate, delay and loss, a seed gives
# the same losses again, a group of flows runs in its cgroup, and nothing is left.
set -u
export RMT_BUILD=$PWD/build
net=scripts/net flow=build/bench/net/flow
fail() { echo "net: $*"; exit 1; }
figure() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" "$2" | head -n 1; }
holds() { [ "$(awk "BEGIN { print ($1) }")" = 1 ] || fail "$2: $1 does not hold"; }
up() { name=$($net up "$@") || fail "up $*"; [ "$(cat /run/rmt-net/$name/kind)" = netem ] || fail "this kernel has netem, and it was not used"; }
serve() { # until the network goes down
	rm -f /tmp/server
	$net exec b -- $flow server > /tmp/server &
	until grep -q ready /tmp/server; do usleep 1000; done
}

for control in reno cubic bbr; do
	up --rate 20 --rtt 20 --buffer 1 --loss 1 --seed 7
	serve
	$net exec a -- $flow client 10.99.0.2 --flows 2,$control --short 20000,100,$control --short-seconds 1 --warm-up 0.5 --seconds 2 > /tmp/f || fail "$control"
	$net stats > /tmp/s
	cat /tmp/f /tmp/s
	grep -q "\"control\":\"$control\"" /tmp/f || fail "$control was asked for and did not run"
	# What the wire can carry of data, and one packet more.
	holds "$(figure mbit /tmp/f) <= 20 * 1448 / 1514 * 1.01" "$control is not above the rate, but for the edges of a window of 2 s"
	holds "$(figure mbit /tmp/f) > 1" "$control carries something"
	holds "$(figure rtt_min_ms /tmp/f) >= 20" "$control: no RTT is below that of the path"
	holds "$(figure lost /tmp/s) > 0 && $(figure lost /tmp/s) < 0.02 * $(figure sent /tmp/s)" "$control: about 1 % is lost"
	holds "$(figure done /tmp/f) > 0" "$control: short transfers end"
	$net down
done

up --rate 20 --rtt 20
serve
$net exec a -- $flow client fd99::2 --flows 1,cubic --warm-up 0 --seconds 1 > /tmp/f || fail "IPv6"
holds "$(figure rtt_min_ms /tmp/f) >= 20" "IPv6: no RTT is below that of the path"
holds "$($net stats | sed 's/.*"lost":\([0-9]*\).*/\1/') == 0" "nothing is lost where nothing was asked for"
$net exec a -- $flow client 10.99.0.2 --flows 1,nonesuch 2> /tmp/e
[ $? = 5 ] || fail "a control that the kernel lacks gives status 5"
grep -q "no congestion control 'nonesuch'; it has .*cubic" /tmp/e || fail "the message is '$(cat /tmp/e)'"
group=/sys/fs/cgroup/flows
mkdir $group
$net exec a -- $flow client 10.99.0.2 --flows 1,cubic,$group --warm-up 0 --seconds 2 > /tmp/f &
client=$!
until [ -n "$(cat $group/cgroup.procs)" ]; do kill -0 $client || fail "no process came into the cgroup"; usleep 10000; done
wait $client || fail "the client in a cgroup"
rmdir $group || fail "a process stayed in the cgroup"
$net down

# One ping after the other: with the same seed the same ones are lost.
lost() {
	up --rate 20 --rtt 2 --loss 5 --ip 4 --seed "$1"
	$net exec a -- ping -q -c 400 -i 0.005 10.99.0.2 | sed -n 's/.* \([0-9]*\) packets received.*/\1/p'
	$net down
}
one=$(lost 1) again=$(lost 1) other=$(lost 2)
echo "of 400: $one, $again, with another seed $other"
[ "$one" = "$again" ] || fail "the same seed gave $one and then $again"
[ "$one" -lt 400 ] || fail "nothing was lost"

$net run --rate 10 --rtt 10 --name ended -- sleep 1000 &
runner=$!
until [ -d /run/rmt-net/ended ]; do usleep 1000; done
kill $runner
wait $runner
[ $? = 143 ] || fail "a network that is ended by a signal gives 143"
[ -z "$($net list)$(/usr/sbin/ip netns)" ] || fail "left: $($net list) $(/usr/sbin/ip netns)"
[ ! -e /run/rmt-net ] || fail "/run/rmt-net is left"
