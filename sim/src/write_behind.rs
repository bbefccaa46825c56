//! A file that a thread of its own writes: whoever has something for it does not wait for the operating system.
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::thread::{Builder, JoinHandle};

/// Bytes handed over at a time.
const PIECE: usize = 64 << 10;
/// Pieces that may wait: a writer that is faster than the disk waits then.
const WAITING: usize = 16;

enum Order {
    Write(Vec<u8>),
    /// All before it is with the operating system when the answer comes.
    Flush(SyncSender<()>),
}

/// The file. An error of one write is reported by a later one, or by [`Write::flush`]; nothing is written after it.
pub(crate) struct WriteBehind {
    buffer: Vec<u8>,
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

fn obey(mut file: File, orders: Receiver<Order>) -> io::Result<()> {
    for order in orders {
        match order {
            Order::Write(bytes) => file.write_all(&bytes)?,
            // Who asked has gone: nobody needs the answer.
            Order::Flush(done) => done.send(()).unwrap_or_default(),
        }
    }
    Ok(())
}

impl WriteBehind {
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let (orders, queue) = sync_channel(WAITING);
        let thread = Builder::new()
            .name("ferrule-capture".to_owned())
            .spawn(move || obey(file, queue))?;
        Ok(Self {
            buffer: Vec::with_capacity(PIECE),
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Gives an order; an error is that of an earlier one.
    fn order(&mut self, order: Order) -> io::Result<()> {
        match &self.orders {
            Some(orders) if orders.send(order).is_ok() => Ok(()),
            _ => self.end(),
        }
    }

    /// Waits for the thread, which ends with its orders or its first error.
    fn end(&mut self) -> io::Result<()> {
        self.orders = None;
        let ended = || io::Error::other("writing the file has ended with an error");
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(ended()),
        }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.order(Order::Write(bytes))
    }
}

impl Write for WriteBehind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()?;
        let (done, answer) = sync_channel(1);
        self.order(Order::Flush(done))?;
        match answer.recv() {
            Ok(()) => Ok(()),
            Err(_) => self.end(),
        }
    }
}

impl Drop for WriteBehind {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // As a BufWriter does: whoever wants to hear of errors flushes.
            let _ = self.hand_over();
            let _ = self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn everything_is_in_the_file_after_a_flush_and_after_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let mut expected = vec![];
        let mut file = WriteBehind::new(File::create(&path).expect("a file")).expect("a thread");
        for n in 0..300usize {
            let bytes = vec![n as u8; n * 37 % 3_000];
            file.write_all(&bytes).expect("written");
            expected.extend(bytes);
            if n % 100 == 50 {
                file.flush().expect("flushed");
                assert!(std::fs::read(&path).expect("the file") == expected, "{n}");
            }
        }
        drop(file);
        assert!(std::fs::read(&path).expect("the file") == expected);
    }

    #[test]
    fn an_error_is_reported_once_it_is_known_and_nothing_goes_on() {
        let full = OpenOptions::new().write(true).open("/dev/full");
        let mut file = WriteBehind::new(full.expect("/dev/full")).expect("a thread");
        file.write_all(b"short: kept back").expect("kept back");
        let error = file.flush().expect_err("no space");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(file.flush().is_err());
        let long = vec![0; 3 * PIECE];
        assert!(file.write_all(&long).is_err());
    }
}
