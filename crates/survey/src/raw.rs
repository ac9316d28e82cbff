//! The ground of a sweep over raw packets (Linux): frames out, frames in, and what keeps both honest.
//!
//! | module | for |
//! |---|---|
//! | [`link`] | one interface, opened with privilege and used without: where it leads, both directions |
//! | [`transmit`] | frames out in batches with exact counts: AF_PACKET or AF_XDP |
//! | [`receive`] | frames in through a ring, filtered in the kernel |
//! | [`neighbour`] | who is the next hop, asked by ARP and neighbour discovery |
//! | [`validation`] | is this an answer to something we sent, told without remembering what was sent |
//! | [`guard`] | the kernel keeps silent on our source ports |
//! | [`sweep`] | permits become frames, frames become answers: a survey over all of this |
//! | [`privilege`] | capabilities given up once the sockets are open |
//!
//! What it refuses to do: judge who may be asked. A frame is built from a permit, which it uses up.

pub mod guard;
pub mod link;
mod mapping;
pub mod neighbour;
mod payload;
pub mod privilege;
pub mod receive;
mod socket;
pub mod sweep;
pub mod transmit;
pub mod validation;
