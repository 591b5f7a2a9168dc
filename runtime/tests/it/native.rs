//! The engine of our own against tract.

mod answers;
mod chain;
mod damaged;
mod eight_bits;
mod layers;
mod operators;
mod promises;
