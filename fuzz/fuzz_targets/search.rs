//! The search language: whatever is typed is understood or pointed at; what is understood is
//! written and read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use search::parser::QUERY_BYTES_MAX;
use search::query::Query;

/// The language alone: the lake around it takes half an hour to build for coverage.
#[allow(dead_code)]
#[path = "../../crates/lake/src/search"]
mod search {
    pub mod error;
    pub mod field;
    pub mod parser;
    pub mod query;
}

fuzz_target!(|text: &str| {
    match text.parse::<Query>() {
        Ok(query) => {
            let written = query.to_string();
            // Names may be longer than their synonyms: only what is not too long is read again.
            if written.len() <= QUERY_BYTES_MAX {
                assert_eq!(written.parse::<Query>(), Ok(query));
            }
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some());
            error.pointed(text);
        }
    }
});
