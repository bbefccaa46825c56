//! The vfio-user server with a client that is not ours: that of the crate `vfio_user`, as cloud-hypervisor has it.
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use ferrule_abi::ring::{doorbell, sqe_flags, Cqe, Sqe};
use ferrule_abi::{regs, BAR_REGS, BAR_REGS_SIZE, MSIX_VECTORS};
use ferrule_sim::simulator::Simulator;
use ferrule_sim::station::Core;
use ferrule_sim::wire::loopback::Loopback;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use rustix::io::{pread, pwrite};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_NUM_REGIONS,
};
use vfio_user::Client;

const BAR0: u32 = BAR_REGS as u32;
/// Where the client maps its memory, and its length.
const IOVA: u64 = 0x12_3400_0000;
const MEMORY: u64 = 0x4000;
/// What lies where in it.
const TXCQ: u64 = 0x1000;
const FRAME: u64 = 0x2000;
/// Command register of configuration space (PCI Local Bus 3.0, section 6.2.2) with memory space and bus mastering.
const COMMAND: u64 = 4;
const MASTER: [u8; 2] = [6, 0];

fn read(client: &mut Client, offset: u32) -> u32 {
    let mut bytes = [0; 4];
    client
        .region_read(BAR0, offset.into(), &mut bytes)
        .expect("a register is read");
    u32::from_le_bytes(bytes)
}

fn write(client: &mut Client, offset: u32, value: u32) {
    client
        .region_write(BAR0, offset.into(), &value.to_le_bytes())
        .expect("a register is written");
}

fn readable(fd: &OwnedFd, limit: Duration) -> bool {
    let timeout = Timespec::try_from(limit).expect("a time");
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)).expect("polls") > 0
}

/// The next simulator's socket is there at once; its client needs no more than that.
fn connect(socket: &Path) -> Client {
    Client::new(socket).expect("connects")
}

/// Sends a frame from the client's memory; gives the completion.
fn send(client: &mut Client, memory: &OwnedFd, irq: &OwnedFd) -> Cqe {
    let frame: Vec<u8> = (0..100).collect();
    let sqe = Sqe {
        iova: IOVA + FRAME,
        len: frame.len() as u16,
        flags: sqe_flags::SOP | sqe_flags::EOP | sqe_flags::RAW | sqe_flags::CPL_REQ,
        ..Sqe::default()
    };
    let words: Vec<u8> = sqe
        .to_words()
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect();
    pwrite(memory, &words, 0).expect("the SQE");
    pwrite(memory, &frame, FRAME).expect("the frame");
    let tx = regs::tx_page(0);
    let vector = regs::tx_cfg::VECTOR.of(1);
    let sizes = regs::tx_cfg::SQ_LOG2.of(4) | regs::tx_cfg::CQ_LOG2.of(4);
    for (offset, value) in [
        (tx + regs::tx_cfg::OFFSET, sizes | vector),
        (tx + regs::tx_sq_base_lo::OFFSET, IOVA as u32),
        (tx + regs::tx_sq_base_hi::OFFSET, (IOVA >> 32) as u32),
        (tx + regs::tx_cq_base_lo::OFFSET, (IOVA + TXCQ) as u32),
        (tx + regs::tx_cq_base_hi::OFFSET, (IOVA >> 32) as u32),
        (tx + regs::tx_ctrl::OFFSET, 1),
        (regs::ctrl::OFFSET, regs::ctrl::TX_EN.of(1)),
        (
            tx + regs::tx_doorbell::OFFSET,
            doorbell::PRODUCER.of(1) | doorbell::ARM.of(1),
        ),
    ] {
        write(client, offset, value);
    }
    assert!(readable(irq, Duration::from_secs(20)), "no interrupt");
    let mut bytes = [0; 16];
    pread(memory, &mut bytes, TXCQ).expect("the completion");
    let word = |n: usize| u32::from_le_bytes(bytes[4 * n..4 * n + 4].try_into().expect("a word"));
    Cqe::from_words([word(0), word(1), word(2), word(3)])
}

#[test]
fn another_client_drives_the_nic() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("nic.sock");
    let simulator = Simulator::builder(Box::new(Loopback::new(1_000)))
        .listen(&socket)
        .wall_time()
        .start(Core::Model)
        .expect("starts");
    let memory = memfd_create("client", MemfdFlags::CLOEXEC).expect("memory");
    ftruncate(&memory, MEMORY).expect("of a length");
    // One after the other, each as if it were the first.
    for n in 1..=3 {
        pwrite(&memory, &[0; MEMORY as usize], 0).expect("empty");
        let mut client = connect(&socket);
        for (region, size) in [
            (BAR0, BAR_REGS_SIZE.into()),
            (VFIO_PCI_CONFIG_REGION_INDEX, 4096),
        ] {
            let told = client.region(region).map(|r| r.size);
            assert_eq!(told, Some(size), "region {region}");
        }
        assert!((0..VFIO_PCI_NUM_REGIONS).all(|n| client.region(n).is_some()));
        let irqs = client
            .get_irq_info(VFIO_PCI_MSIX_IRQ_INDEX)
            .expect("vectors");
        assert_eq!(irqs.count, u32::from(MSIX_VECTORS));
        assert_eq!(read(&mut client, regs::magic::OFFSET), regs::MAGIC);
        write(&mut client, regs::scratch::OFFSET, 0x1234_5678);
        assert_eq!(read(&mut client, regs::scratch::OFFSET), 0x1234_5678);

        let vectors: Vec<OwnedFd> = (0..MSIX_VECTORS)
            .map(|_| {
                eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("an eventfd")
            })
            .collect();
        let fds: Vec<_> = vectors.iter().map(AsRawFd::as_raw_fd).collect();
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        client
            .set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, flags, 0, MSIX_VECTORS.into(), &fds)
            .expect("vectors are attached");
        client
            .dma_map(0, IOVA, MEMORY, memory.as_raw_fd())
            .expect("memory is mapped");
        client
            .region_write(VFIO_PCI_CONFIG_REGION_INDEX, COMMAND, &MASTER)
            .expect("configuration space is written");
        let sent = send(&mut client, &memory, &vectors[1]);
        assert_eq!((sent.status, sent.index, sent.phase), (0, 0, true));
        assert!(!readable(&vectors[0], Duration::ZERO), "another vector");

        // A reset ends what is still in the NIC's buffers.
        let since = Instant::now();
        while simulator.stats().phy.tx_frames < n {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "no frame on the wire"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        client.reset().expect("a reset");
        assert_ne!(read(&mut client, regs::scratch::OFFSET), 0x1234_5678);
        client
            .dma_unmap(IOVA, MEMORY)
            .expect("memory is taken back");
        client.shutdown().expect("it leaves");
    }
    simulator.stop().expect("it ends well");
}
