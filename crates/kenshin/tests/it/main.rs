//! The whole, by real processes.

mod browser;
mod demo;
mod house;
mod process;
mod sensors;
mod usage;
