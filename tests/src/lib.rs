//! What the journeys need: the two programs, a data set and what comes from PyPI.

pub mod data;
pub mod fetch;
pub mod programs;
