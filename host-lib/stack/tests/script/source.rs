//! A script's lines as they are run: files included, loops unrolled, variables put in, comments gone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::sum;

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A line that says something.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// Something wrong with a script, and where.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) place: Place,
    pub(crate) what: String,
}

type Variables = BTreeMap<String, String>;

/// Expands the script `text` that is called `name`; `include` looks in `start`.
pub(crate) fn expand(name: &str, text: &str, start: &Path) -> Result<Vec<Line>, Trouble> {
    let mut expander = Expander {
        start,
        out: Vec::new(),
    };
    expander.file(name, text, Variables::new(), 0)?;
    Ok(expander.out)
}

struct Expander<'a> {
    start: &'a Path,
    out: Vec<Line>,
}

impl Expander<'_> {
    fn file(
        &mut self,
        name: &str,
        text: &str,
        mut vars: Variables,
        depth: usize,
    ) -> Result<(), Trouble> {
        let lines: Vec<(usize, &str)> = text
            .lines()
            .enumerate()
            .map(|(i, l)| (i + 1, uncommented(l)))
            .filter(|(_, l)| !l.is_empty())
            .collect();
        self.block(name, &lines, &mut vars, depth)
    }

    fn block(
        &mut self,
        file: &str,
        lines: &[(usize, &str)],
        vars: &mut Variables,
        depth: usize,
    ) -> Result<(), Trouble> {
        let mut i = 0;
        while let Some((line, text)) = lines.get(i) {
            let place = Place {
                file: file.to_string(),
                line: *line,
            };
            let fail = |what: String| Trouble {
                place: place.clone(),
                what,
            };
            let text = substitute(text, vars).map_err(fail)?;
            let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
            match first {
                "param" => {
                    let (name, value) = rest.trim().split_once(' ').unwrap_or((rest, ""));
                    vars.entry(name.trim().to_string())
                        .or_insert_with(|| value.trim().to_string());
                }
                "include" => {
                    if depth > 4 {
                        return Err(fail("includes go round in a circle".into()));
                    }
                    let (name, given) = arguments(rest).map_err(fail)?;
                    let path = self.start.join(format!("{name}.pkt"));
                    let text = std::fs::read_to_string(&path)
                        .map_err(|e| fail(format!("{}: {e}", path.display())))?;
                    let known: Vec<&str> = text
                        .lines()
                        .filter_map(|l| l.strip_prefix("param ")?.split(' ').next())
                        .collect();
                    if let Some(odd) = given.keys().find(|k| !known.contains(&k.as_str())) {
                        return Err(fail(format!("{name} has no parameter {odd}")));
                    }
                    self.file(&format!("start/{name}.pkt"), &text, given, depth + 1)?;
                }
                "for" => {
                    let (name, from, to) = range(rest).map_err(fail)?;
                    let end =
                        matching_end(&lines[i + 1..]).ok_or_else(|| fail("no `end`".into()))?;
                    let body = &lines[i + 1..i + 1 + end];
                    for value in from..=to {
                        vars.insert(name.clone(), value.to_string());
                        self.block(file, body, vars, depth)?;
                    }
                    vars.remove(&name);
                    i += end + 1;
                }
                "end" => return Err(fail("`end` without `for`".into())),
                _ => self.out.push(Line { place, text }),
            }
            i += 1;
        }
        Ok(())
    }
}

fn uncommented(line: &str) -> &str {
    let mut quoted = false;
    let end = line.char_indices().find(|(i, c)| {
        quoted ^= *c == '"';
        *c == '#' && !quoted && (*i == 0 || line[..*i].ends_with(char::is_whitespace))
    });
    line[..end.map_or(line.len(), |(i, _)| i)].trim()
}

fn matching_end(lines: &[(usize, &str)]) -> Option<usize> {
    let mut open = 0;
    for (i, (_, text)) in lines.iter().enumerate() {
        match text.split_whitespace().next() {
            Some("for") => open += 1,
            Some("end") if open == 0 => return Some(i),
            Some("end") => open -= 1,
            _ => {}
        }
    }
    None
}

/// `NAME FROM..TO`, both ends included.
fn range(text: &str) -> Result<(String, i64, i64), String> {
    let wrong = || "expected: for NAME FROM..TO".to_string();
    let (name, ends) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let (from, to) = ends.split_once("..").ok_or_else(wrong)?;
    Ok((name.to_string(), sum::eval(from)?, sum::eval(to)?))
}

/// `NAME key=value key=<a value in angle brackets>`
fn arguments(text: &str) -> Result<(String, Variables), String> {
    let words = crate::words::split(text)?;
    let mut words = words.into_iter();
    let name = words.next().ok_or("expected: include NAME key=value ...")?;
    let mut given = Variables::new();
    for word in words {
        let (key, value) = word
            .split_once('=')
            .ok_or_else(|| format!("expected key=value, not {word}"))?;
        given.insert(key.to_string(), value.to_string());
    }
    Ok((name, given))
}

/// Puts `$name` and `$(arithmetic)` in.
fn substitute(text: &str, vars: &Variables) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(inner) = rest.strip_prefix('(') {
            let end = closing(inner).ok_or("`$(` without `)`")?;
            let plain = names_replaced(&inner[..end], vars)?;
            out.push_str(&sum::eval(&plain)?.to_string());
            rest = &inner[end + 1..];
            continue;
        }
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        out.push_str(lookup(&rest[..end], vars)?);
        rest = &rest[end..];
    }
    out.push_str(rest);
    Ok(out)
}

fn closing(text: &str) -> Option<usize> {
    let mut open = 0;
    text.char_indices().find_map(|(i, c)| {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return Some(i),
            ')' => open -= 1,
            _ => {}
        }
        None
    })
}

fn lookup<'a>(name: &str, vars: &'a Variables) -> Result<&'a str, String> {
    vars.get(name)
        .map(String::as_str)
        .ok_or_else(|| format!("no variable ${name}"))
}

/// Names inside arithmetic need no dollar sign.
fn names_replaced(text: &str, vars: &Variables) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if c.is_alphabetic() {
            out.push_str(lookup(&rest[..end], vars)?);
            rest = &rest[end..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(out)
}
