//! One integration binary: what the town promises about itself, and what it says on the wire.

mod dialogue;
mod promises;
mod sockets;
