//! The ground of a sweep over raw packets (Linux): frames out, frames in, and what keeps both honest.
//!
//! | module | for |
//! |---|---|
//! | [`validation`] | is this an answer to something we sent, told without remembering what was sent |
//!
//! What it refuses to do: judge who may be asked. It sends the frames it is given; the stage above
//! makes them, each with its permit.

pub mod validation;
