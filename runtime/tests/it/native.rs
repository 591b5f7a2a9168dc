//! The engine of our own against tract.

mod answers;
mod chain;
mod layers;
mod operators;
mod promises;
