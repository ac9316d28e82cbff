//! What we write, as text: read by eye once, and held.
