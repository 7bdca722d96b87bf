//! Fields that only some of an object's algorithms have.

use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::field::Field;
use crate::rules::kind::Choice;

/// Refuses the fields of `of_some` that the document names though `way` is none of the algorithms that look at them.
pub(super) fn check_names<T: Copy + PartialEq + Sync>(
    way: T,
    algorithm: &Field<Choice<T>>,
    of_some: &[(&str, &[T])],
    object: &Object<'_>,
    report: &mut Report,
) {
    for (field, ways) in of_some {
        if object.names(field) && !ways.contains(&way) {
            let known = algorithm.kind.words.iter().filter(|(_, other)| ways.contains(other));
            let names = Vec::from_iter(known.map(|(name, _)| *name)).join(", ");
            object.refuse(field, format!("this algorithm has none; expected it of {names} only"), report);
        }
    }
}
