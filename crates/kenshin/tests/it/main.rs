//! The whole, by real processes.

mod demo;
mod house;
mod process;
mod usage;
