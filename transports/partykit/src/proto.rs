//! What decides: nothing in here does I/O, reads a clock or draws a random number.

pub(crate) mod socket;
