//! The part of a document that a command writes: what is between two lines of it.
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Why it was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// The document cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The document has no place for it.
    #[error("{} lacks the lines between which the figures go: `{begin}` and `{end}`", path.display())]
    Marker {
        path: PathBuf,
        begin: &'static str,
        end: &'static str,
    },
}

/// The two lines.
pub(crate) struct Markers {
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

impl Markers {
    /// Writes `section`, which ends without a new line, between them.
    ///
    /// # Errors
    /// When the document cannot be read or written, or lacks them.
    pub(crate) fn write(&self, path: &Path, section: &str) -> Result<(), DocumentError> {
        let file = |source| DocumentError::File {
            path: path.to_owned(),
            source,
        };
        let text = fs::read_to_string(path).map_err(file)?;
        let new = self
            .replace(&text, section)
            .ok_or_else(|| DocumentError::Marker {
                path: path.to_owned(),
                begin: self.begin,
                end: self.end,
            })?;
        fs::write(path, new).map_err(file)
    }

    /// `text` with `section` between them.
    fn replace(&self, text: &str, section: &str) -> Option<String> {
        let Self { begin, end } = self;
        let (head, rest) = text.split_once(begin)?;
        let (_, tail) = rest.split_once(end)?;
        Some(format!("{head}{begin}\n{section}\n{end}{tail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{coverage, synth};

    #[test]
    fn only_what_is_between_the_markers_is_written() {
        let markers = Markers {
            begin: "<!-- a -->",
            end: "<!-- b -->",
        };
        let text = "before\n<!-- a -->\nold\n<!-- b -->\nafter\n";
        let new = markers.replace(text, "new").expect("a place");
        assert_eq!(new, "before\n<!-- a -->\nnew\n<!-- b -->\nafter\n");
        assert_eq!(markers.replace(&new, "new").as_ref(), Some(&new));
        assert_eq!(markers.replace("no markers", "new"), None);
    }

    #[test]
    fn each_document_has_a_place() {
        for (path, markers) in [synth::DOCUMENT, synth::BOARDS_DOCUMENT, coverage::DOCUMENT] {
            let text = fs::read_to_string(path).expect("the document");
            assert!(markers.replace(&text, "").is_some(), "{path}");
        }
    }
}
