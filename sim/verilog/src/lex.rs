//! Words, numbers and signs of a Verilog text (IEEE 1364-2005 clause 3).
use crate::error::{At, Fault, Pos, Result};
use crate::value::{limbs, Bits};

/// Widest literal and signal, in bits.
pub(crate) const MAX_WIDTH: u32 = 1 << 16;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name or keyword.
    Word(String),
    /// A system task or function, with its `$`.
    System(String),
    Number(Number),
    Text(String),
    Sign(&'static str),
    End,
}

/// A literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) value: Bits,
    /// Written with a size; without one it has at least 32 bits.
    pub(crate) sized: bool,
    pub(crate) signed: bool,
}

impl Token {
    /// As in a message.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(w) | Self::System(w) => format!("`{w}`"),
            Self::Number(_) => "a number".into(),
            Self::Text(_) => "a string".into(),
            Self::Sign(s) => format!("`{s}`"),
            Self::End => "the end of the text".into(),
        }
    }
}

/// Longest first.
const SIGNS: &[&str] = &[
    "<<<", ">>>", "===", "!==", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "**", "~&", "~|",
    "~^", "^~", "+:", "-:", "->", "(", ")", "[", "]", "{", "}", ";", ":", ",", ".", "=", "<", ">",
    "+", "-", "*", "/", "%", "&", "|", "^", "~", "!", "?", "@", "#",
];

struct Lexer<'a> {
    rest: &'a str,
    pos: Pos,
    tokens: Vec<(Pos, Token)>,
}

/// Cuts a text into tokens; the last is [`Token::End`]. Comments and attributes `(* ... *)` are left out.
pub(crate) fn lex(text: &str) -> Result<Vec<(Pos, Token)>> {
    let mut lexer = Lexer {
        rest: text,
        pos: Pos { line: 1, column: 1 },
        tokens: vec![],
    };
    while lexer.next()? {}
    lexer.tokens.push((lexer.pos, Token::End));
    Ok(lexer.tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

impl<'a> Lexer<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        match taken.rfind('\n') {
            Some(last) => {
                self.pos.line += taken.matches('\n').count() as u32;
                self.pos.column = 1 + taken[last + 1..].chars().count() as u32;
            }
            None => self.pos.column += taken.chars().count() as u32,
        }
        taken
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c));
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Skips to the end of what begins with the next `start` bytes and ends with `end`.
    fn skip(&mut self, start: usize, end: &str, what: &'static str) -> Result<()> {
        match self.rest[start..].find(end) {
            Some(at) => {
                self.take(start + at + end.len());
                Ok(())
            }
            None => Err(At::new(
                self.pos,
                Fault::Syntax {
                    found: "the end of the text".into(),
                    wanted: what,
                },
            )),
        }
    }

    fn next(&mut self) -> Result<bool> {
        self.take_while(char::is_whitespace);
        let pos = self.pos;
        let Some(first) = self.rest.chars().next() else {
            return Ok(false);
        };
        if self.rest.starts_with("//") {
            self.take_while(|c| c != '\n');
            return Ok(true);
        }
        if self.rest.starts_with("/*") {
            self.skip(2, "*/", "the end of a comment")?;
            return Ok(true);
        }
        let after_at = matches!(self.tokens.last(), Some((_, Token::Sign("@"))));
        if self.rest.starts_with("(*") && !self.rest.starts_with("(*)") && !after_at {
            self.skip(2, "*)", "the end of an attribute")?;
            return Ok(true);
        }
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => Token::Word(self.take_while(is_word).into()),
            '\\' => {
                self.take(1);
                Token::Word(self.take_while(|c| !c.is_whitespace()).into())
            }
            '$' => {
                self.take(1);
                Token::System(format!("${}", self.take_while(is_word)))
            }
            '0'..='9' | '\'' => Token::Number(self.number()?),
            '"' => {
                let text = self.rest;
                self.skip(1, "\"", "the end of a string")?;
                let bytes = text.len() - self.rest.len();
                Token::Text(text[1..bytes - 1].into())
            }
            '`' => {
                self.take(1);
                let name = self.take_while(is_word);
                return Err(At::outside(pos, format!("the directive ``{name}`")));
            }
            _ => match SIGNS.iter().find(|s| self.rest.starts_with(**s)) {
                Some(sign) => {
                    self.take(sign.len());
                    Token::Sign(sign)
                }
                None => {
                    return Err(At::new(
                        pos,
                        Fault::Syntax {
                            found: format!("the character {first:?}"),
                            wanted: "Verilog",
                        },
                    ))
                }
            },
        };
        self.tokens.push((pos, token));
        Ok(true)
    }

    fn number(&mut self) -> Result<Number> {
        let pos = self.pos;
        let syntax = |found: &str, wanted| {
            At::new(
                pos,
                Fault::Syntax {
                    found: format!("{found:?}"),
                    wanted,
                },
            )
        };
        let decimal = self.take_while(|c| c.is_ascii_digit() || c == '_');
        let after = self.rest.trim_start();
        if !after.starts_with('\'') {
            if self.rest.starts_with('.') || self.rest.starts_with(['e', 'E']) {
                return Err(At::outside(pos, "a real number"));
            }
            let value = digits(decimal, 10, 64)
                .filter(|v| v[0] >> 32 == 0)
                .ok_or_else(|| syntax(decimal, "an unsized number below 2^32"))?;
            return Ok(Number {
                value: Bits::from_limbs(32, value),
                sized: false,
                signed: true,
            });
        }
        self.take(self.rest.len() - after.len() + 1);
        let width = match decimal {
            "" => None,
            text => Some(
                digits(text, 10, 64)
                    .map(|v| v[0])
                    .filter(|w| (1..=u64::from(MAX_WIDTH)).contains(w))
                    .ok_or_else(|| syntax(text, "a size from 1 to 65536 bits"))?
                    as u32,
            ),
        };
        let mut base = self.take_while(char::is_alphanumeric);
        // In `'hff` base and digits are one word.
        let signed = base.starts_with(['s', 'S']);
        base = &base[usize::from(signed)..];
        let radix = match base.chars().next() {
            Some('h' | 'H') => 16,
            Some('d' | 'D') => 10,
            Some('o' | 'O') => 8,
            Some('b' | 'B') => 2,
            _ => return Err(syntax(base, "a base: one of b, o, d, h")),
        };
        let mut text = base[1..].to_owned();
        if text.is_empty() {
            self.take_while(char::is_whitespace);
        }
        text += self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '?'));
        if text.contains(['x', 'X', 'z', 'Z', '?']) {
            return Err(At::outside(pos, format!("the four-state literal `{text}`")));
        }
        let value = digits(&text, radix, width.unwrap_or(32).max(64))
            .ok_or_else(|| syntax(&text, "digits of the literal's base that fit"))?;
        Ok(Number {
            value: Bits::from_limbs(width.unwrap_or(32), value),
            sized: width.is_some(),
            signed,
        })
    }
}

/// The value of digits, or none if there are none, one is foreign to the base or the value exceeds `width` bits rounded up to limbs.
fn digits(text: &str, radix: u32, width: u32) -> Option<Vec<u64>> {
    let mut value = vec![0u64; limbs(width)];
    let mut any = false;
    for c in text.chars().filter(|c| *c != '_') {
        let mut carry = u128::from(c.to_digit(radix)?);
        for limb in &mut value {
            carry += u128::from(*limb) * u128::from(radix);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry != 0 {
            return None;
        }
        any = true;
    }
    any.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(text).unwrap().into_iter().map(|t| t.1).collect()
    }
    fn number(text: &str) -> Number {
        match tokens(text).as_slice() {
            [Token::Number(n), Token::End] => n.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn literals_have_size_sign_and_base() {
        assert_eq!(
            number("12'hF_f"),
            Number {
                value: Bits::new(12, 255),
                sized: true,
                signed: false
            }
        );
        assert_eq!(
            number("3 'sb 101"),
            Number {
                value: Bits::new(3, 5),
                sized: true,
                signed: true
            }
        );
    }

    #[test]
    fn wide_and_unsized_literals() {
        assert_eq!(number("128'd18446744073709551617").value.limbs(), [1, 1]);
        assert_eq!(
            number("7"),
            Number {
                value: Bits::new(32, 7),
                sized: false,
                signed: true
            }
        );
        assert_eq!(
            number("'h10"),
            Number {
                value: Bits::new(32, 16),
                sized: false,
                signed: false
            }
        );
        assert_eq!(number("4'hff").value, Bits::new(4, 15), "cut from the left");
    }

    #[test]
    fn comments_and_attributes_vanish_and_places_stay() {
        let all = lex("// a\n/* b\n */ (* ram_style = \"x\" *) reg @(*) \\odd.name q$d").unwrap();
        let words: Vec<_> = all.iter().map(|t| t.1.describe()).collect();
        assert_eq!(
            words,
            [
                "`reg`",
                "`@`",
                "`(`",
                "`*`",
                "`)`",
                "`odd.name`",
                "`q$d`",
                "the end of the text"
            ]
        );
        assert_eq!(
            all[0].0,
            Pos {
                line: 3,
                column: 27
            }
        );
    }

    #[test]
    fn what_is_outside_is_named_with_its_place() {
        for (text, want) in [
            ("\n 4'b1x0", "2:2: the four-state literal `1x0`"),
            ("`timescale", "1:1: the directive ``timescale`"),
            ("1.5", "1:1: a real number"),
        ] {
            let error = lex(text).unwrap_err().in_file("f").to_string();
            assert!(error.contains(want), "{error}");
        }
        for text in [
            "\"open",
            "/* open",
            "(* open",
            "8'q1",
            "8'h",
            "8'b2",
            "99999999999",
            "0'h1",
            "é",
        ] {
            assert!(lex(text).is_err(), "{text}");
        }
    }
}
