//! An overlay's values win: nobody who writes one has to know about priorities.

use crate::nickel::outline;
use crate::source::Source;

/// Returns the source with `| force` before every value that says nothing of its priority. Lines stay as they are.
pub(super) fn forced(source: &Source) -> Source {
    let Some(fields) = outline(source) else { return source.clone() };
    let mut places: Vec<usize> =
        fields.iter().filter(|field| !field.default && !field.force).filter_map(|field| field.equals).collect();
    places.sort_unstable();
    let mut text = source.text.clone();
    for place in places.into_iter().rev() {
        text.insert_str(place, "| force ");
    }
    Source { name: source.name.clone(), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, read: &str) {
        let source = Source { name: "local.ncl".to_owned(), text: written.to_owned() };
        assert_eq!(forced(&source).text, read);
    }

    #[test]
    fn values_are_forced_and_records_are_entered() {
        check("{ a.b = 1, c = { d = \"=\" } }", "{ a.b | force = 1, c = { d | force = \"=\" } }");
    }

    #[test]
    fn a_priority_that_is_written_stays() {
        check("{ a | default = 1, b | force = 2 }", "{ a | default = 1, b | force = 2 }");
    }

    #[test]
    fn text_that_is_no_nickel_stays_for_the_language_to_refuse() {
        check("{ a = ", "{ a = ");
    }
}
