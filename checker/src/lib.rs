//! Decides whether the promises G1–G4 held, from nothing but what clients did and saw.
//!
//! | module | owns |
//! |---|---|
//! | [`history`] | the one format in which simulation, load test and real clusters tell what happened |
//! | [`text`] | the names that texts carry, by which the same message is known everywhere |

pub mod history;
pub mod text;
