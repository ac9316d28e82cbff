//! The whole, by real processes.

mod house;
