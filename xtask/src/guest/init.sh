#!/bin/sh
# What the guest does, as its first and only process: gives the NIC to vfio-pci and lets the programs under test use it. Each step ends in
# a line `STEP NAME STATUS`, by which the host judges.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for option in $(cat /proc/cmdline); do
    case $option in huge_pages=*) echo "${option#*=}" >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages ;; esac
done
for module in /modules/*.ko; do insmod "$module"; done

step() {
    name=$1
    shift
    "$@" 2>&1
    status=$?
    # On a line of its own, whatever was written before.
    printf '\nSTEP %s %s\n' "$name" "$status"
}

# The NIC: the one Ethernet controller.
for device in /sys/bus/pci/devices/*; do
    [ "$(cat "$device/class")" = 0x020000 ] && nic=${device##*/}
done

# Another driver than vfio-pci has it in no guest, so that there is none to give it back to.
bind() {
    ferrule list && ferrule bind "$nic" && ferrule list | grep "$nic.*vfio-pci"
}

# Memory in the pages that this guest was started for.
pages() {
    case $(cat /proc/cmdline) in *huge_pages=0*) huge=false ;; *) huge=true ;; esac
    NO_COLOR=1 FERRULE_LOG=info ferrule ping 192.0.2.2 --device "pci:$nic" --count 1 2>&1 | grep "huge_pages=$huge"
}

# A program that is killed at work, again and again: whatever it left, the next one must find a NIC that works.
killed() {
    for n in $(seq 20); do
        ferrule ping 192.0.2.2 --device "pci:$nic" --count 65535 >/dev/null &
        ping=$!
        sleep "0.$((n % 7 + 1))"
        kill -9 "$ping" || return 1
        wait "$ping"
    done
    ferrule ping 192.0.2.2 --device "pci:$nic"
}

# The kernel wants the device back while a program uses it: as when it is unplugged. The kernel waits until the program lets go.
removed() {
    ferrule ping 192.0.2.2 --device "pci:$nic" --count 65535 >/tmp/ping 2>&1 &
    ping=$!
    sleep 2
    echo 1 >"/sys/bus/pci/devices/$nic/remove"
    wait "$ping" && return 1
    tail -n 1 /tmp/ping
    tail -n 1 /tmp/ping | grep -q 'the NIC is gone' || return 1
    [ ! -e "/sys/bus/pci/devices/$nic" ] || return 1
    echo 1 >/sys/bus/pci/rescan
    ferrule bind "$nic" && ferrule ping 192.0.2.2 --device "pci:$nic"
}

step bind bind
step pages pages
step selftest ferrule selftest --device "pci:$nic" --isolation
step ping ferrule ping 192.0.2.2 --device "pci:$nic" --count 10
export FERRULE_DEVICE="pci:$nic" FERRULE_ADDRESS=192.0.2.10/24
step tcp-echo tcp_echo_client 192.0.2.2:7 1048576
step killed killed
step removed removed
dmesg | grep -i -E 'dmar|vfio'
poweroff -f
