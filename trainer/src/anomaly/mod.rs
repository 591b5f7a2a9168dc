//! How well the scores of anomalies tell abnormal images from normal ones.
//!
//! ```text
//! bundle -> scores ----+
//!           baselines -+-> ranking::auroc -> Comparison
//! made, or a folder ---+
//! ```
//!
//! [`scores()`] scores images by every method of a bundle; [`Baselines`] by methods that need no
//! network; [`ranking`] says how well a score ranks. A [`Comparison`] holds them side by side on
//! validation images, against anomalies that are made of them or that the user has.

mod area;
mod baselines;
mod bundle;
mod comparison;
mod lof;
pub mod made;
mod neighbours;
pub mod ranking;
mod scores;
mod scratch;
mod text;

pub use baselines::Baselines;
pub use bundle::bundle;
pub use comparison::{Comparison, Options, Row, compare};
pub(crate) use scores::BATCH;
pub use scores::scores;
