//! Archives as they are published, and updates from a server that misbehaves.

mod archives;
mod files;
mod server;
mod updates;
