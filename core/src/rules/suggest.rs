//! Which known name somebody may have meant.

/// The nearest known name, when one is near enough to be worth saying.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_lowercase().replace('-', "_");
    let far = |name: &&str| distance(wrong.as_bytes(), name.as_bytes());
    let best = known.min_by_key(far)?;
    let allowed = (best.len() / 3).max(1);
    (far(&best) <= allowed || is_part(&wrong, best)).then_some(best)
}

fn is_part(a: &str, b: &str) -> bool {
    a.len().min(b.len()) >= 3 && (a.contains(b) || b.contains(a))
}

/// Levenshtein distance, one row of the classic table at a time.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["error_ratio", "window", "min_calls", "open_for"];

    fn meant(wrong: &str) -> Option<&'static str> {
        nearest(wrong, KNOWN.into_iter())
    }

    #[test]
    fn distances_are_the_textbook_ones() {
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"abc", b"abc"), 0);
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_not() {
        assert_eq!(meant("error_rate"), Some("error_ratio"));
        assert_eq!(meant("windw"), Some("window"));
        assert_eq!(meant("Min-Calls"), Some("min_calls"));
        assert_eq!(meant("open"), Some("open_for"));
        assert_eq!(meant("colour"), None);
        assert_eq!(meant(""), None);
        assert_eq!(meant(&"window".repeat(1000)), None);
    }
}
