#!/bin/sh
# What a guest does, as its first and only process: it gets ready, takes the steps of its own script, and switches itself off. Each step ends
# in a line `STEP NAME STATUS`, by which the host judges.
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
for function in /sys/bus/pci/devices/*; do
    [ "$(cat "$function/class")" = 0x020000 ] && nic=${function##*/}
done

# A program that is killed at work, again and again: whatever it left, the next one must find a NIC that works.
killed() {
    for n in $(seq 20); do
        ferrule ping 192.0.2.2 --device "$device" --count 65535 >/dev/null &
        ping=$!
        sleep "0.$((n % 7 + 1))"
        kill -9 "$ping" || return 1
        wait "$ping"
    done
    ferrule ping 192.0.2.2 --device "$device"
}

. /steps
dmesg | grep -i -E 'dmar|vfio'
poweroff -f
