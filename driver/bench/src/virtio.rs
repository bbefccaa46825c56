//! The peer: the VirtQueue of virtio-drivers with a device in plain Rust. All `unsafe` of the benchmark is here: the queue's memory is
//! reached by raw pointers on both sides.
use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Error as VirtioError, Hal, PhysAddr, PAGE_SIZE};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{Error, Meter, Work, FRAME};

/// Descriptors of the queue.
const ENTRIES: usize = 64;

/// Memory of this process, which the device knows by its addresses.
struct Host;

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).unwrap_or(Layout::new::<u8>())
}

// SAFETY: what `dma_alloc` gives is zeroed, starts on a page, and is nobody else's until `dma_dealloc`; 0 tells that there is none.
unsafe impl Hal for Host {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let layout = layout(pages.max(1));
        // SAFETY: a page at least.
        let memory = unsafe { alloc_zeroed(layout) };
        (
            memory.expose_provenance() as PhysAddr,
            NonNull::new(memory).unwrap_or(NonNull::dangling()),
        )
    }

    unsafe fn dma_dealloc(_: PhysAddr, memory: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: the caller vouches that it is from `dma_alloc`, with as many pages.
        unsafe { dealloc(memory.as_ptr(), layout(pages.max(1))) };
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::dangling()
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr().expose_provenance() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

/// The device's side of the queue: it takes what is available and says that it is used, in order.
#[derive(Default)]
struct Used {
    driver_area: usize,
    device_area: usize,
    taken: u16,
    notified: u64,
}

impl Used {
    /// A half-word of the queue's memory.
    fn half(area: usize, offset: usize) -> *mut u16 {
        std::ptr::with_exposed_provenance_mut(area + offset)
    }

    /// The index of the available or the used ring (VirtIO 1.2, sections 2.7.6 and 2.7.8).
    fn index<'a>(area: usize) -> &'a AtomicU16 {
        // SAFETY: the queue gave its areas' addresses, which live as long as it and the `Peer` that has both; all access to it is atomic.
        unsafe { AtomicU16::from_ptr(Self::half(area, 2)) }
    }

    fn run(&mut self) {
        let end = Self::index(self.driver_area).load(Ordering::Acquire);
        while self.taken != end {
            let slot = usize::from(self.taken) % ENTRIES;
            let from = Self::half(self.driver_area, 4 + 2 * slot);
            // SAFETY: within the available ring, of which the driver has written this entry and does not touch it now.
            let descriptor = unsafe { from.read_volatile() };
            let to = Self::half(self.device_area, 4 + 8 * slot).cast::<[u32; 2]>();
            // SAFETY: within the used ring, which only the device writes and the driver does not read now; aligned to 4.
            unsafe { to.write_volatile([descriptor.into(), 0]) };
            self.taken = self.taken.wrapping_add(1);
        }
        Self::index(self.device_area).store(self.taken, Ordering::Release);
    }
}

impl Transport for Used {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }
    fn read_device_features(&mut self) -> u64 {
        0
    }
    fn write_driver_features(&mut self, _: u64) {}
    fn max_queue_size(&mut self, _: u16) -> u32 {
        ENTRIES as u32
    }
    fn notify(&mut self, _: u16) {
        self.notified += 1;
    }
    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::empty()
    }
    fn set_status(&mut self, _: DeviceStatus) {}
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, _: u16, _: u32, _: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        self.driver_area = driver as usize;
        self.device_area = device as usize;
    }
    fn queue_unset(&mut self, _: u16) {}
    fn queue_used(&mut self, _: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn read_config_generation(&self) -> u32 {
        0
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, _: usize) -> Result<T, VirtioError> {
        Err(VirtioError::ConfigSpaceMissing)
    }
    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _: usize,
        _: T,
    ) -> Result<(), VirtioError> {
        Err(VirtioError::ConfigSpaceMissing)
    }
}

/// A queue, its device, and the frame that is handed over again and again: `SIZE` at a time, each with its completion taken.
pub(crate) struct Peer<const SIZE: usize> {
    queue: VirtQueue<Host, ENTRIES>,
    device: Used,
    frame: Box<[u8; FRAME]>,
}

impl<const SIZE: usize> Peer<SIZE> {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut device = Used::default();
        let queue = VirtQueue::new(&mut device, 0, false, false)?;
        Ok(Self {
            queue,
            device,
            frame: Box::new(std::array::from_fn(|i| i as u8)),
        })
    }
}

impl<const SIZE: usize> Work for Peer<SIZE> {
    fn batch(&mut self, meter: &mut Meter) -> Result<(), Error> {
        let Self {
            queue,
            device,
            frame,
        } = self;
        let inputs: [&[u8]; 1] = [&frame[..]];
        let received = meter.time(|| {
            let mut count = 0;
            while let Some(token) = queue.peek_used() {
                // SAFETY: all buffers that were added are the frame.
                unsafe { queue.pop_used(token, &inputs, &mut []) }?;
                count += 1;
            }
            Ok::<_, VirtioError>(count)
        })?;
        let taken = meter.time(|| {
            for _ in 0..SIZE {
                // SAFETY: the frame lives as long as the queue and is only ever read.
                unsafe { queue.add(&inputs, &mut []) }?;
            }
            if queue.should_notify() {
                device.notify(0);
            }
            Ok::<_, VirtioError>(SIZE)
        })?;
        device.run();
        if received > SIZE {
            return Err(Error::Lost { received, taken });
        }
        Ok(())
    }

    fn packets(&self) -> usize {
        SIZE
    }
}
