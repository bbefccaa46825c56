//! Messages in a stream: TCP keeps no borders, so whoever wants them draws them, by a length in front or a delimiter behind.
//!
//! ```
//! use ferrule::framing::{Border, FrameReader, FrameWriter};
//!
//! let mut wire = FrameWriter::new(Vec::new(), Border::length(2, 1_000));
//! wire.write(b"one")?;
//! wire.write(b"")?;
//! wire.write(b"three")?;
//! // However the bytes come, the messages are the same.
//! let bytes = wire.into_inner();
//! let mut frames = FrameReader::new(&bytes[..], Border::length(2, 1_000));
//! assert_eq!(frames.read()?.as_deref(), Some(&b"one"[..]));
//! assert_eq!(frames.read()?.as_deref(), Some(&b""[..]));
//! assert_eq!(frames.read()?.as_deref(), Some(&b"three"[..]));
//! assert_eq!(frames.read()?, None);
//! # Ok::<(), ferrule::framing::FramingError>(())
//! ```
//! The other end is not trusted: a message longer than was agreed is an error before anything is set aside for it.
use std::io::{self, Read, Write};

/// Bytes asked of a reader at a time.
const CHUNK: usize = 8 * 1_024;

/// How the end of a message is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Border {
    /// Its length stands in front, in network byte order.
    Length {
        /// Bytes of that number, 1 to 8.
        width: usize,
        /// The longest message.
        max: usize,
    },
    /// These bytes stand behind it, and never in it.
    Delimiter {
        /// At least one.
        bytes: Vec<u8>,
        /// The longest message, without them.
        max: usize,
    },
}

/// Why a message cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FramingError {
    /// It is longer than was agreed; a stream in which one comes cannot be read any further.
    #[error("a message of {len} bytes or more, where {max} are the most that was agreed on")]
    TooLong {
        /// Its length, as far as it is known.
        len: u64,
        /// What was agreed.
        max: usize,
    },
    /// The stream ended within a message.
    #[error("the stream ended within a message, {missing} bytes or more before its end")]
    CutOff {
        /// At least so many are missing.
        missing: usize,
    },
    /// A message to be written holds the delimiter.
    #[error("the message holds the delimiter at byte {at}; escape it, or put lengths in front")]
    HoldsDelimiter {
        /// Where.
        at: usize,
    },
    /// The stream.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Border {
    /// A length of `width` bytes (1 to 8) in front of messages of at most `max` bytes.
    ///
    /// # Panics
    /// If `width` is not 1 to 8.
    pub fn length(width: usize, max: usize) -> Self {
        assert!((1..=8).contains(&width), "a number of {width} bytes");
        Self::Length { width, max }
    }

    /// `bytes` behind messages of at most `max` bytes: lines, for one.
    ///
    /// # Panics
    /// If there are none.
    pub fn delimiter(bytes: &[u8], max: usize) -> Self {
        assert!(!bytes.is_empty(), "a delimiter of no bytes");
        let bytes = bytes.to_vec();
        Self::Delimiter { bytes, max }
    }

    /// Appends a message with its border to `to`.
    ///
    /// # Errors
    /// [`FramingError::TooLong`], also if the length's bytes cannot hold it; [`FramingError::HoldsDelimiter`].
    pub fn encode(&self, message: &[u8], to: &mut Vec<u8>) -> Result<(), FramingError> {
        let len = message.len() as u64;
        match self {
            Self::Length { width, max } => {
                let most = u64::MAX >> (64 - 8 * (*width).clamp(1, 8));
                if message.len() > *max || len > most {
                    let max = (*max).min(usize::try_from(most).unwrap_or(usize::MAX));
                    return Err(FramingError::TooLong { len, max });
                }
                to.extend_from_slice(&len.to_be_bytes()[8 - (*width).clamp(1, 8)..]);
                to.extend_from_slice(message);
            }
            Self::Delimiter { bytes, max } => {
                if message.len() > *max {
                    return Err(FramingError::TooLong { len, max: *max });
                }
                // With the delimiter behind it: part of one at the end could make one with it.
                let whole = [message, bytes].concat();
                match find(&whole, bytes, 0) {
                    Some(at) if at < message.len() => {
                        return Err(FramingError::HoldsDelimiter { at });
                    }
                    _ => to.extend_from_slice(&whole),
                }
            }
        }
        Ok(())
    }
}

/// Where `what` begins in `bytes`, from `from` on.
fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let windows = bytes.get(from..)?.windows(what.len().max(1));
    windows
        .into_iter()
        .position(|w| w == what)
        .map(|at| from + at)
}

/// Finds messages in bytes that come in pieces, wherever they come from.
#[derive(Debug)]
pub struct Decoder {
    border: Border,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are taken already.
    start: usize,
    /// No delimiter begins before this.
    searched: usize,
}

impl Decoder {
    /// Nothing has come yet.
    pub fn new(border: Border) -> Self {
        Self {
            border,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
        }
    }

    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start.min(self.searched);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if it is there whole.
    ///
    /// # Errors
    /// [`FramingError::TooLong`], as soon as that is known.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        let bytes = &self.buffer[self.start..];
        let (skip, len, end) = match &self.border {
            Border::Length { width, max } => {
                let Some(prefix) = bytes.get(..*width) else {
                    return Ok(None);
                };
                let len = prefix.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
                let max = *max;
                let len = usize::try_from(len)
                    .ok()
                    .filter(|len| *len <= max)
                    .ok_or(FramingError::TooLong { len, max })?;
                if bytes.len() - width < len {
                    return Ok(None);
                }
                (*width, len, width + len)
            }
            Border::Delimiter {
                bytes: delimiter,
                max,
            } => {
                let from = self.searched.saturating_sub(self.start);
                match find(bytes, delimiter, from) {
                    Some(at) if at <= *max => (0, at, at + delimiter.len()),
                    None if bytes.len() < *max + delimiter.len() => {
                        // A delimiter may have begun at the end.
                        let whole = (bytes.len() + 1).saturating_sub(delimiter.len());
                        self.searched = self.start + whole;
                        return Ok(None);
                    }
                    found => {
                        let len = found.unwrap_or(max + 1) as u64;
                        return Err(FramingError::TooLong { len, max: *max });
                    }
                }
            }
        };
        let message = bytes[skip..skip + len].to_vec();
        self.start += end;
        self.searched = self.start;
        Ok(Some(message))
    }

    /// Whether the bytes so far end with a message.
    ///
    /// # Errors
    /// [`FramingError::CutOff`] if they do not.
    pub fn finish(&self) -> Result<(), FramingError> {
        let bytes = &self.buffer[self.start..];
        if bytes.is_empty() {
            return Ok(());
        }
        let missing = match &self.border {
            Border::Length { width, .. } => match bytes.get(..*width) {
                None => width - bytes.len(),
                Some(prefix) => {
                    let len = prefix.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
                    let whole = usize::try_from(len).unwrap_or(usize::MAX);
                    whole.saturating_sub(bytes.len() - width)
                }
            },
            Border::Delimiter { .. } => 1,
        };
        Err(FramingError::CutOff { missing })
    }
}

/// Reads messages from a stream. Of a nonblocking one an error of kind [`WouldBlock`](io::ErrorKind::WouldBlock) loses nothing.
#[derive(Debug)]
pub struct FrameReader<R> {
    inner: R,
    decoder: Decoder,
}

impl<R: Read> FrameReader<R> {
    /// Messages with these borders from `inner`.
    pub fn new(inner: R, border: Border) -> Self {
        Self {
            inner,
            decoder: Decoder::new(border),
        }
    }

    /// The next message; `None` when the stream has ended after the last.
    ///
    /// # Errors
    /// See [`FramingError`].
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        let mut chunk = [0; CHUNK];
        loop {
            if let Some(message) = self.decoder.next()? {
                return Ok(Some(message));
            }
            match self.inner.read(&mut chunk) {
                Ok(0) => return self.decoder.finish().map(|()| None),
                Ok(n) => self.decoder.push(&chunk[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The stream.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }
}

/// Writes messages to a stream that blocks.
#[derive(Debug)]
pub struct FrameWriter<W> {
    inner: W,
    border: Border,
    frame: Vec<u8>,
}

impl<W: Write> FrameWriter<W> {
    /// Messages with these borders to `inner`.
    pub fn new(inner: W, border: Border) -> Self {
        Self {
            inner,
            border,
            frame: Vec::new(),
        }
    }

    /// Writes a message whole, its border with it.
    ///
    /// # Errors
    /// See [`FramingError`]; nothing has been written of a message that is refused.
    pub fn write(&mut self, message: &[u8]) -> Result<(), FramingError> {
        self.frame.clear();
        self.border.encode(message, &mut self.frame)?;
        Ok(self.inner.write_all(&self.frame)?)
    }

    /// The stream.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All messages of bytes that come `step` at a time.
    fn decode(border: &Border, bytes: &[u8], step: usize) -> Result<Vec<Vec<u8>>, FramingError> {
        let mut decoder = Decoder::new(border.clone());
        let mut messages = vec![];
        for piece in bytes.chunks(step) {
            decoder.push(piece);
            while let Some(message) = decoder.next()? {
                messages.push(message);
            }
        }
        decoder.finish()?;
        Ok(messages)
    }

    #[test]
    fn messages_are_the_same_however_their_bytes_come() {
        let messages = [&b"one"[..], b"", b"a\rb\nc", &[0x5A; 300], b"\r", b"end"];
        let borders = [
            Border::length(2, 300),
            Border::length(8, 1_000),
            Border::delimiter(b"\r\n", 300),
            Border::delimiter(b"\0", 300),
        ];
        for border in borders {
            let mut bytes = vec![];
            for message in messages {
                border.encode(message, &mut bytes).unwrap();
            }
            for step in 1..bytes.len() {
                let got = decode(&border, &bytes, step).unwrap();
                assert!(got == messages, "{border:?} in steps of {step}: {got:?}");
            }
        }
    }

    #[test]
    fn a_hostile_length_is_refused_before_anything_is_set_aside() {
        for (width, max) in [(1, 254), (2, 1_000), (4, 65_536), (8, usize::MAX / 2)] {
            let mut decoder = Decoder::new(Border::length(width, max));
            decoder.push(&vec![0xFF; width]);
            let error = decoder.next().unwrap_err();
            assert!(matches!(error, FramingError::TooLong { .. }), "{error}");
        }
        // A length that is allowed but does not come takes no more than what came.
        let mut decoder = Decoder::new(Border::length(8, usize::MAX / 2));
        decoder.push(&(1u64 << 40).to_be_bytes());
        decoder.push(b"x");
        assert_eq!(decoder.next().unwrap(), None);
        assert!(decoder.buffer.capacity() < 1_024);
    }

    #[test]
    fn a_line_without_an_end_is_refused_as_soon_as_it_is_too_long() {
        let border = Border::delimiter(b"\r\n", 10);
        assert_eq!(decode(&border, b"0123456789\r\n", 1).unwrap().len(), 1);
        for step in 1..13 {
            let error = decode(&border, b"0123456789A\r\n", step).unwrap_err();
            assert!(matches!(error, FramingError::TooLong { len: 11, max: 10 }));
            let mut decoder = Decoder::new(border.clone());
            decoder.push(b"01234567890");
            assert_eq!(decoder.next().unwrap(), None, "a delimiter may follow");
            decoder.push(b"1");
            assert!(decoder.next().is_err());
        }
    }

    #[test]
    fn an_end_within_a_message_is_told() {
        let cases = [
            (Border::length(2, 10), &b"\x00"[..], 1),
            (Border::length(2, 10), b"\x00\x05abc", 2),
            (Border::delimiter(b"\n", 10), b"abc", 1),
        ];
        for (border, bytes, want) in cases {
            let error = decode(&border, bytes, 1).unwrap_err();
            let told = matches!(error, FramingError::CutOff { missing } if missing == want);
            assert!(told, "{error}");
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let mut to = vec![];
        let lines = Border::delimiter(b"aba", 10);
        let error = lines.encode(b"xabax", &mut to).unwrap_err();
        assert!(matches!(error, FramingError::HoldsDelimiter { at: 1 }));
        // Its end and the delimiter's beginning make a delimiter.
        let error = lines.encode(b"ab", &mut to).unwrap_err();
        assert!(matches!(error, FramingError::HoldsDelimiter { at: 0 }));
        let error = Border::length(1, 1_000).encode(&[0; 256], &mut to);
        assert!(matches!(
            error.unwrap_err(),
            FramingError::TooLong { len: 256, max: 255 }
        ));
        assert!(to.is_empty());
    }
}
