//! The whole, by real processes.

mod browser;
mod demo;
mod exchange;
mod house;
mod process;
mod sensors;
mod usage;
