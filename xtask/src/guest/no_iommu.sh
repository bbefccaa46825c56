# What a guest without an IOMMU does, whose VFIO can do without: nothing of that by mistake, and everything when it is asked for.
device=pci-no-iommu:$nic
mode=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
pool=/sys/kernel/mm/hugepages/hugepages-2048kB

# A command that must fail, and say this.
fails() {
    text=$1
    shift
    "$@" >/tmp/failed 2>&1 && return 1
    cat /tmp/failed
    grep -q -F -e "$text" /tmp/failed
}

# Without --no-iommu all stays as it is.
refused() {
    fails "ferrule bind --no-iommu $nic" ferrule bind "$nic" || return 1
    fails "is in no IOMMU group" ferrule info --device "pci:$nic" || return 1
    fails "is in no IOMMU group" ferrule info --device "$device" || return 1
    [ "$(cat "$mode")" = N ] && [ ! -e "/sys/bus/pci/devices/$nic/driver" ]
}

bind() {
    ferrule bind --no-iommu "$nic" >/tmp/bind
    cat /tmp/bind
    grep -q -F -e "echo Y > $mode" /tmp/bind && grep -q -F -e "--device $device" /tmp/bind || return 1
    ferrule list | grep "$nic.*vfio-pci.*no IOMMU.* ready"
}

# The name of a device behind an IOMMU is not its name.
named() {
    fails "name it $device if that may be" ferrule info --device "pci:$nic" && ferrule info --device "$device"
}

# Whoever opens it is told; and its memory is huge pages.
warned() {
    NO_COLOR=1 FERRULE_LOG=info ferrule ping 192.0.2.2 --device "$device" --count 1 >/tmp/ping 2>&1
    cat /tmp/ping
    grep -q 'WARN.*all of memory' /tmp/ping && grep -q 'huge_pages=true' /tmp/ping
}

# Accesses outside of the NIC's memory would be made: they are not tried.
selftest() {
    ferrule selftest --device "$device" --isolation >/tmp/selftest
    status=$?
    cat /tmp/selftest
    grep -q 'isolation.*skipped: .*no IOMMU' /tmp/selftest && return "$status"
}

used() {
    echo $(($(cat "$pool/nr_hugepages") - $(cat "$pool/free_hugepages")))
}

# Slots for packets of 9,000 bytes take three huge pages, all of which come into use.
jumbo() {
    tcp_echo_client 192.0.2.2:7 1048576 9000 &
    client=$!
    for n in $(seq 100); do
        most=$(used)
        [ "$most" -ge 3 ] && break
        sleep 0.1
    done
    wait "$client" && echo "$most huge pages in use" && [ "$most" -eq 3 ]
}

# Who has it is named, and keeps it.
held() {
    ferrule ping 192.0.2.2 --device "$device" --count 65535 >/dev/null &
    ping=$!
    sleep 2
    ferrule list | grep "$nic.*ferrule ($ping).*not ready" && fails "process $ping" ferrule unbind "$nic"
    status=$?
    kill "$ping"
    wait "$ping"
    return "$status"
}

# Where there are no huge pages it is said what to do. All that programs had, killed ones too, is in the pool again.
scarce() {
    [ "$(used)" -eq 0 ] || return 1
    pages=$(cat "$pool/nr_hugepages")
    echo 0 >"$pool/nr_hugepages"
    fails "1 huge page(s) of 2 MiB in a row are needed" ferrule ping 192.0.2.2 --device "$device" --count 1 || return 1
    grep -q -F "> $pool/nr_hugepages" /tmp/failed || return 1
    echo "$pages" >"$pool/nr_hugepages"
    ferrule ping 192.0.2.2 --device "$device" --count 1
}

# The device has no group any more, and so no name.
unbind() {
    ferrule unbind "$nic" && fails "is in no IOMMU group" ferrule info --device "$device"
}

step refused refused
step bind bind
step named named
step warned warned
step selftest selftest
step ping ferrule ping 192.0.2.2 --device "$device" --count 10
export FERRULE_DEVICE="$device" FERRULE_ADDRESS=192.0.2.10/24
step tcp-echo tcp_echo_client 192.0.2.2:7 1048576
step jumbo jumbo
step held held
step killed killed
step scarce scarce
step unbind unbind
