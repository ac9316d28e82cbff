//! CPE names of claims: from the templates of fingerprints to names that hold only what the host
//! showed.

use crate::cpe::{Attribute, Cpe};

/// The CPE 2.3 formatted string for what a fingerprint states: a CPE 2.2 URI as in Recog's
/// templates, or a formatted string that may be short. White space becomes `_`. A version that is
/// not known is `*`: it is not stated that there is none. `None` when it is neither, or names no
/// part, vendor and product.
pub fn cpe23(text: &str) -> Option<String> {
    let printable = text.chars().filter(|c| matches!(c, ' '..='~'));
    let text: String = printable.map(|c| if c == ' ' { '_' } else { c }).collect();
    let mut name: Cpe = text.parse().ok()?;
    if [&name.part, &name.vendor, &name.product].iter().any(|attribute| attribute.text().is_none()) {
        return None;
    }
    if name.version == Attribute::NotApplicable {
        name.version = Attribute::Any;
    }
    Some(name.to_string())
}

/// True when two names are of the same part, vendor and product, and not of two versions.
pub(super) fn same_product(a: &str, b: &str) -> bool {
    let (Ok(a), Ok(b)) = (a.parse::<Cpe>(), b.parse::<Cpe>()) else { return a == b };
    (&a.part, &a.vendor, &a.product) == (&b.part, &b.vendor, &b.product)
        && (a.version == b.version || [&a.version, &b.version].contains(&&Attribute::Any))
}

/// The name with its version set where it is open. Hardware keeps none: the version claimed is
/// that of its firmware.
pub(super) fn with_version(text: &str, version: &str) -> String {
    match text.parse::<Cpe>() {
        Ok(mut name) if name.version == Attribute::Any && name.part.text() != Some("h") => {
            name.version = Attribute::literal(&version.replace(' ', "_"));
            name.to_string()
        }
        _ => text.to_owned(),
    }
}

/// The name, its version and update left open unless `disclosed` says that the host showed that
/// version.
pub(super) fn only_disclosed(text: &str, disclosed: impl Fn(&str) -> bool) -> String {
    match text.parse::<Cpe>() {
        Ok(mut name) if name.version.text().is_some_and(|version| !disclosed(version)) => {
            name.version = Attribute::Any;
            name.rest[0] = Attribute::Any;
            name.to_string()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_become_formatted_strings() {
        let cases = [
            ("cpe:/a:openbsd:openssh:9.2:p1", "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"),
            ("cpe:/a:openbsd:openssh:9.2:-", "cpe:2.3:a:openbsd:openssh:9.2:-:*:*:*:*:*:*"),
            ("cpe:/o:yamaha:rtx810_firmware:-", "cpe:2.3:o:yamaha:rtx810_firmware:*:*:*:*:*:*:*:*"),
            ("cpe:/o:TP-Link:Archer C7_firmware", "cpe:2.3:o:tp-link:archer_c7_firmware:*:*:*:*:*:*:*:*"),
            ("cpe:/o:x:y:1.0+b(2)", "cpe:2.3:o:x:y:1.0\\+b\\(2\\):*:*:*:*:*:*:*"),
            ("cpe:/a:igor_sysoev:nginx:1%2b2", "cpe:2.3:a:igor_sysoev:nginx:1\\+2:*:*:*:*:*:*:*"),
            ("cpe:2.3:o:yamaha:rtx810_firmware", "cpe:2.3:o:yamaha:rtx810_firmware:*:*:*:*:*:*:*:*"),
            ("cpe:2.3:a:a:b\\:c:1:*:*:*:*:*:*:*", "cpe:2.3:a:a:b\\:c:1:*:*:*:*:*:*:*"),
        ];
        for (from, to) in cases {
            assert_eq!(cpe23(from).as_deref(), Some(to));
            assert_eq!(cpe23(to).as_deref(), Some(to), "stays as it is");
        }
        let bad = [
            "",
            "cpe:/",
            "cpe:/o:vendor",
            "cpe:/x:a:b",
            "http://",
            "cpe:/o::b",
            "cpe:/o:a:-",
            "cpe:/a:a:b:50%",
        ];
        for bad in bad {
            assert_eq!(cpe23(bad), None, "{bad}");
        }
    }

    #[test]
    fn versions_are_only_those_shown() {
        let open = "cpe:2.3:o:yamaha:rtx810_firmware:*:*:*:*:*:*:*:*";
        let closed = "cpe:2.3:o:yamaha:rtx810_firmware:11.01.34:*:*:*:*:*:*:*";
        assert_eq!(with_version(open, "11.01.34"), closed);
        assert_eq!(with_version(closed, "1"), closed);
        let hardware = "cpe:2.3:h:yamaha:rtx810:*:*:*:*:*:*:*:*";
        assert_eq!(with_version(hardware, "1"), hardware);
        assert_eq!(only_disclosed(closed, |_| true), closed);
        assert_eq!(only_disclosed(closed, |version| version != "11.01.34"), open);
        assert!(same_product(open, closed) && !same_product(open, hardware));
        assert!(!same_product(closed, &with_version(open, "2")));
    }
}
