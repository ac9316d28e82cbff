//! Integration tests of insight.
