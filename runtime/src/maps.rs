//! Maps of where an image differs from its reconstruction, and what is read off them.
//!
//! `N` stands for a number of tiles. The same values give the same bytes on any machine.

mod checks;
mod colours;
pub mod error_map;
pub mod gaussian;
pub mod gradient;
pub mod heatmap;
mod mask;
pub mod regions;
pub mod resized;
pub mod ssim;
pub mod structure;
pub mod tiles;

pub use mask::Mask;
