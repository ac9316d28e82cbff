//! Mandates from outside: what is refused and how it is said, what the gate lets through, what
//! `ssh-keygen` makes of our signatures and we of its.

mod bad;
mod forever;
mod gate;
mod gate_properties;
mod interop;
mod narrowing;
mod revocation;
mod signatures;
mod statement;
mod support;
mod targets;
