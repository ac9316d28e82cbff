//! The whole, by real processes.

mod browser;
mod daemons;
mod demo;
mod exchange;
mod house;
mod namespace;
mod process;
mod sensors;
mod usage;
