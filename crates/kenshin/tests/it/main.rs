//! The whole, by real processes.

mod browser;
mod cluster;
mod components;
mod daemons;
mod demo;
mod exchange;
mod flight;
mod full;
mod house;
mod killed;
mod namespace;
mod office;
mod process;
mod python;
mod retention;
mod searches;
mod sensors;
mod store;
mod usage;
