//! The application as its clients see it, in process: no socket, a clock that is moved by hand.

mod contract;
mod policy;
mod rows;
mod sessions;
mod world;
