//! The choice of a kernel: which candidates there are and what the target admits ([`enumerate`]), what each would take
//! ([`cost`]), what was measured ([`records`]), and which of them it is ([`choose`]).

pub mod choose;
pub mod cost;
pub mod enumerate;
mod listing;
pub mod records;
#[cfg(test)]
mod tests;
