//! Why points need not be covered: `reasons.toml`, each reason for the modules and the points that its patterns name.
use serde::Deserialize;

use super::error::CoverageError;

/// A reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// Patterns of places, such as `host.regs`; `*` stands for any text.
    modules: Vec<String>,
    /// Patterns of what is not covered, as the list of the unexplained shows it.
    points: Vec<String>,
    /// Why.
    pub(super) why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    reason: Vec<Reason>,
}

impl Reason {
    /// Whether it is about this point.
    pub(super) fn is_for(&self, module: &str, point: &str) -> bool {
        let any = |patterns: &[String], text| patterns.iter().any(|p| fits(p, text));
        any(&self.modules, module) && any(&self.points, point)
    }
}

/// All reasons; the first that is for a point counts.
///
/// # Errors
/// When the file is wrong.
pub(super) fn all() -> Result<Vec<Reason>, CoverageError> {
    Ok(toml::from_str::<File>(include_str!("reasons.toml"))?.reason)
}

/// Whether `text` is as `pattern` says.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.any(|at| fits(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, want) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a*", "a", true),
            ("*.b", "x.a.b", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn the_file_is_right_and_every_reason_says_why() {
        let reasons = all().expect("reads");
        assert!(reasons
            .iter()
            .all(|r| r.why.len() > 20 && !r.points.is_empty()));
    }
}
