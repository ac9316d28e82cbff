//! The pack shipped with the program.

use std::sync::{Arc, LazyLock};

use super::Pack;

/// Its files: name and text.
pub const OWN: &[(&str, &str)] = &[
    ("ssh_banner.xml", include_str!("../../pack/ssh_banner.xml")),
];

static PACK: LazyLock<Arc<Pack>> = LazyLock::new(|| {
    Arc::new(Pack::parse("own", OWN.iter().copied()).expect("the shipped pack parses; a test says so"))
});

pub(super) fn pack() -> Arc<Pack> {
    Arc::clone(&PACK)
}
