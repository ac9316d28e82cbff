//! The application as its clients see it, in process: no socket, a clock that is moved by hand.

mod contract;
mod courtesy;
mod policy;
mod rows;
mod sensors;
mod sessions;
mod world;
