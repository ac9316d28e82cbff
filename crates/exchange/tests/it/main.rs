//! Integration tests of exchange.

mod exports;
mod hostile;
mod round_trips;
mod samples;
mod targets;
mod world;
mod zgrab2;
