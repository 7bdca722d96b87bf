//! The kinds of values: each reads, describes and gives the schema of itself.

mod choice;
mod decimal;
mod list;
mod nanos;
mod record;
mod text;
mod whole;

pub(super) use choice::Choice;
pub(super) use decimal::Decimal;
pub(super) use list::List;
pub(super) use nanos::Nanos;
pub(super) use record::Record;
pub(super) use text::Text;
pub(super) use whole::Whole;
