//! The choice of a kernel: which candidates there are and what the target admits ([`enumerate`]), what each would take
//! ([`cost`]), what was measured ([`records`]), and which of them it is ([`choose`]).

pub(crate) mod choose;
pub(crate) mod cost;
pub(crate) mod enumerate;
mod listing;
pub(crate) mod records;
#[cfg(test)]
mod tests;
