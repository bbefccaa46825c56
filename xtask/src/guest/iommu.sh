# What a guest with an IOMMU does: gives the NIC to vfio-pci and lets the programs under test use it.
device=pci:$nic

# Another driver than vfio-pci has it in no guest, so that there is none to give it back to.
bind() {
    ferrule list && ferrule bind "$nic" && ferrule list | grep "$nic.*vfio-pci"
}

# Memory in the pages that this guest was started for.
pages() {
    case $(cat /proc/cmdline) in *huge_pages=0*) huge=false ;; *) huge=true ;; esac
    NO_COLOR=1 FERRULE_LOG=info ferrule ping 192.0.2.2 --device "$device" --count 1 2>&1 | grep "huge_pages=$huge"
}

# The kernel wants the device back while a program uses it: as when it is unplugged. The kernel waits until the program lets go.
removed() {
    ferrule ping 192.0.2.2 --device "$device" --count 65535 >/tmp/ping 2>&1 &
    ping=$!
    sleep 2
    echo 1 >"/sys/bus/pci/devices/$nic/remove"
    wait "$ping" && return 1
    tail -n 1 /tmp/ping
    tail -n 1 /tmp/ping | grep -q 'the NIC is gone' || return 1
    [ ! -e "/sys/bus/pci/devices/$nic" ] || return 1
    echo 1 >/sys/bus/pci/rescan
    ferrule bind "$nic" && ferrule ping 192.0.2.2 --device "$device"
}

step bind bind
step pages pages
step selftest ferrule selftest --device "$device" --isolation
step ping ferrule ping 192.0.2.2 --device "$device" --count 10
export FERRULE_DEVICE="$device" FERRULE_ADDRESS=192.0.2.10/24
step tcp-echo tcp_echo_client 192.0.2.2:7 1048576
step killed killed
step removed removed
