//! Table and property tests of the state machine.
