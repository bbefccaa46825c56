//! Seeded faults: a piece of the exported Verilog replaced by another.
use super::error::FormalError;
use super::property::Mutant;

/// Where the words of `pattern` stand in `text`, whatever white space is between them: start and end of each place.
fn places(text: &str, pattern: &str) -> Vec<(usize, usize)> {
    let words: Vec<&str> = pattern.split_whitespace().collect();
    let Some((first, others)) = words.split_first() else {
        return vec![];
    };
    text.match_indices(first)
        .filter_map(|(start, _)| {
            let mut end = start + first.len();
            for word in others {
                let rest = &text[end..];
                let next = rest.trim_start();
                if !next.starts_with(word) {
                    return None;
                }
                end += rest.len() - next.len() + word.len();
            }
            Some((start, end))
        })
        .collect()
}

/// `design` with the fault in it.
pub(super) fn apply(
    design: &str,
    property: &'static str,
    mutant: &Mutant,
) -> Result<String, FormalError> {
    match places(design, mutant.from)[..] {
        [(start, end)] => Ok(format!(
            "{}{}{}",
            &design[..start],
            mutant.to,
            &design[end..]
        )),
        ref found => Err(FormalError::Pattern {
            property,
            mutant: mutant.name,
            found: found.len(),
            text: mutant.from,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::property::Reach;
    use super::*;

    fn mutant(from: &'static str) -> Mutant {
        Mutant {
            name: "m",
            from,
            to: "X",
            breaks: "label",
            reach: Reach::Step,
        }
    }

    #[test]
    fn white_space_between_words_does_not_matter() {
        let text = "if (full) begin\n        a = 1'b0;\n    end";
        let changed = apply(text, "p", &mutant("begin a = 1'b0;")).expect("matches");
        assert_eq!(changed, "if (full) X\n    end");
    }

    #[test]
    fn a_pattern_that_is_not_there_exactly_once_is_an_error() {
        for (from, count) in [("c = 1;", 0), ("a = 1;", 2), ("", 0)] {
            match apply("a = 1; b = 1; a  = 1;", "p", &mutant(from)) {
                Err(FormalError::Pattern { found, .. }) => assert_eq!(found, count),
                other => panic!("{other:?}"),
            }
        }
    }
}
