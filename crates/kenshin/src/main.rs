//! Kenshin: the command line.

fn main() {}
