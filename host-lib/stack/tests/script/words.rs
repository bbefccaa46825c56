//! A line as words: split at blanks, except inside `"..."` and `<...>`; and a cursor over them.

/// Splits a line. A `<` followed by a blank is a word of its own: a packet that comes in.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut bracketed) = (false, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted && chars.peek().is_some_and(|n| !n.is_whitespace()) => bracketed = true,
            '>' if !quoted && chars.peek() != Some(&'=') => bracketed = false,
            _ => {}
        }
        if c.is_whitespace() && !quoted && !bracketed {
            words.extend((!word.is_empty()).then(|| core::mem::take(&mut word)));
        } else {
            word.push(c);
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    if quoted || bracketed {
        return Err("a quotation mark or angle bracket is not closed".into());
    }
    Ok(words)
}

/// The words of a line, taken one after the other.
pub(crate) struct Words {
    words: Vec<String>,
    at: usize,
}

impl Words {
    pub(crate) fn new(line: &str) -> Result<Words, String> {
        Ok(Words {
            words: split(line)?,
            at: 0,
        })
    }

    pub(crate) fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    pub(crate) fn next(&mut self, what: &str) -> Result<String, String> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word.ok_or_else(|| format!("expected {what} at the end of the line"))
    }

    /// Takes the next word if it is this one.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(word);
        self.at += usize::from(there);
        there
    }

    pub(crate) fn number<T: core::str::FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.next(what)?;
        word.parse()
            .map_err(|_| format!("expected {what}, not `{word}`"))
    }

    /// Takes the next word if it is a number.
    pub(crate) fn optional_number<T: core::str::FromStr>(&mut self) -> Option<T> {
        let value = self.peek()?.parse().ok()?;
        self.at += 1;
        Some(value)
    }

    pub(crate) fn end(&self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(format!("`{word}` is not understood here")),
        }
    }
}

/// A value that may be open: `*`, `7`, `>=7` or `7..9`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    low: u64,
    high: u64,
}

impl Want {
    pub(crate) const ANY: Want = Want {
        low: 0,
        high: u64::MAX,
    };

    pub(crate) fn parse(word: &str) -> Result<Want, String> {
        let number = |text: &str| {
            text.parse()
                .map_err(|_| format!("expected a number, `*`, `>=N` or `A..B`, not `{word}`"))
        };
        if word == "*" {
            return Ok(Want::ANY);
        }
        if let Some(least) = word.strip_prefix(">=") {
            return Ok(Want {
                low: number(least)?,
                high: u64::MAX,
            });
        }
        let (low, high) = word.split_once("..").unwrap_or((word, word));
        Ok(Want {
            low: number(low)?,
            high: number(high)?,
        })
    }

    pub(crate) fn has(self, value: impl Into<u64>) -> bool {
        (self.low..=self.high).contains(&value.into())
    }

    /// The one value there is, for a packet to be made.
    pub(crate) fn exact(self) -> Result<u64, String> {
        (self.low == self.high)
            .then_some(self.low)
            .ok_or_else(|| "a packet to be made needs exact values".into())
    }
}
