//! Out and in again.
