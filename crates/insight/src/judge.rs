//! What a re-check saw of a case's subject.
