//! The arithmetic of `$(...)`: whole numbers, `+ - * /` and brackets.

/// The value of an expression without names.
pub(crate) fn eval(text: &str) -> Result<i64, String> {
    let mut reader = Reader {
        rest: text.trim().as_bytes(),
    };
    let value = reader.terms();
    value
        .filter(|_| reader.rest.is_empty())
        .ok_or_else(|| format!("not arithmetic: {text}"))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn skip(&mut self) {
        self.rest = self.rest[1..].trim_ascii_start();
    }

    fn terms(&mut self) -> Option<i64> {
        let mut value = self.factors()?;
        while let Some(op @ (b'+' | b'-')) = self.next() {
            self.skip();
            let right = self.factors()?;
            value = match op {
                b'+' => value.checked_add(right)?,
                _ => value.checked_sub(right)?,
            };
        }
        Some(value)
    }

    fn factors(&mut self) -> Option<i64> {
        let mut value = self.atom()?;
        while let Some(op @ (b'*' | b'/')) = self.next() {
            self.skip();
            let right = self.atom()?;
            value = match op {
                b'*' => value.checked_mul(right)?,
                _ => value.checked_div(right)?,
            };
        }
        Some(value)
    }

    fn atom(&mut self) -> Option<i64> {
        if self.next()? == b'(' {
            self.skip();
            let value = self.terms()?;
            (self.next()? == b')').then(|| self.skip())?;
            return Some(value);
        }
        let digits = self.rest.iter().take_while(|c| c.is_ascii_digit()).count();
        let value = core::str::from_utf8(&self.rest[..digits]).ok()?;
        self.rest = self.rest[digits..].trim_ascii_start();
        value.parse().ok()
    }
}

#[test]
fn products_before_sums_and_brackets_before_both() {
    assert_eq!(eval("1+2*3"), Ok(7));
    assert_eq!(eval("(1 + 2) * 3 - 10/5"), Ok(7));
    assert!(eval("1+").is_err() && eval("x").is_err() && eval("1 2").is_err());
}
