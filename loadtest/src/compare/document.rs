//! Writes results into a document: each scenario has a part of its own between two marks, so that a run of some scenarios leaves
//! the others as they are.

const BEGIN: &str = "<!-- compare: begin -->";
const END: &str = "<!-- compare: end -->";

/// The document with the part of this name replaced, or put at the end of all parts. An error when it has no place for parts.
pub fn with_part(document: &str, name: &str, text: &str) -> Result<String, String> {
    let (before, rest) = document.split_once(BEGIN).ok_or_else(|| format!("there is no line {BEGIN}"))?;
    let (parts, after) = rest.split_once(END).ok_or_else(|| format!("there is no line {END}"))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", replaced(parts, name, text)))
}

fn replaced(parts: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- compare {name}: begin -->\n"), format!("<!-- compare {name}: end -->\n"));
    let part = format!("{begin}{text}{end}");
    let found = parts.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match found {
        Some((before, after)) => format!("{before}{part}{after}"),
        None => format!("{}\n\n{part}", parts.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_added_and_then_replaced() {
        let empty = "# Title\n<!-- compare: begin -->\n<!-- compare: end -->\nThe end.\n";
        let one = with_part(empty, "a", "first\n").unwrap();
        let two = with_part(&one, "b", "second\n").unwrap();
        let changed = with_part(&two, "a", "third\n").unwrap();
        assert!(changed.starts_with("# Title\n") && changed.ends_with("-->\nThe end.\n"), "{changed}");
        assert!(changed.contains("begin -->\nthird\n<!--") && changed.contains("begin -->\nsecond\n<!--"), "{changed}");
        assert!(!changed.contains("first"), "{changed}");
        assert_eq!(with_part(&changed, "a", "third\n").unwrap(), changed);
    }

    #[test]
    fn a_document_without_marks_is_refused() {
        assert!(with_part("# Title\n", "a", "text").is_err());
    }
}
