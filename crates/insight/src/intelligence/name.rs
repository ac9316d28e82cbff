//! Vendors and products are written differently everywhere (`D-Link`, `dlink`; `Fortinet
//! FortiOS`, `fortios`; `DIR-600`, `dir-600_firmware`). [`Names`] are the spellings that are
//! treated as one.

/// Words that say that a name is a company's.
const COMPANY: &[&str] = &[
    "ab",
    "ag",
    "bv",
    "co",
    "communications",
    "company",
    "corp",
    "corporation",
    "electronics",
    "gmbh",
    "group",
    "inc",
    "incorporated",
    "kg",
    "kk",
    "limited",
    "llc",
    "ltd",
    "networks",
    "oy",
    "sa",
    "sas",
    "spa",
    "srl",
    "systems",
    "technologies",
    "technology",
];

/// Words at the end of a product's name that do not tell products apart.
const SOFTWARE: &[&str] = &["firmware", "software", "series"];

/// Names that say nothing.
const NOTHING: &[&str] = &["", "na", "unknown", "unspecified", "none", "any", "notapplicable"];

/// The normalised spellings of one vendor and product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Spellings of the vendor; empty when it is not known.
    pub vendors: Vec<String>,
    /// Spellings of the product; empty when it is not known.
    pub products: Vec<String>,
}

impl Names {
    /// Spellings of a vendor and a product as somebody wrote them. `n/a` and the like are nothing.
    pub fn of(vendor: &str, product: &str) -> Self {
        let vendor_words = words(vendor);
        let mut vendors = Vec::new();
        push(&mut vendors, &vendor_words);
        let mut core = vendor_words.as_slice();
        while let [before @ .., last] = core
            && !before.is_empty()
            && COMPANY.contains(&last.as_str())
        {
            core = before;
        }
        push(&mut vendors, core);

        let mut products = Vec::new();
        let product_words = words(product);
        for whole in [product_words.as_slice(), product_words.strip_prefix(core).unwrap_or(&product_words)] {
            push(&mut products, whole);
            let mut stem = whole;
            while let [before @ .., last] = stem
                && !before.is_empty()
                && SOFTWARE.contains(&last.as_str())
            {
                stem = before;
            }
            push(&mut products, stem);
        }
        Self { vendors, products }
    }

    /// True when one spelling of the product is the same, or one continues the other (`RT-AC68U`,
    /// `RT-AC68U rev A2`).
    pub fn same_product(a: &str, b: &str) -> bool {
        let (a, b) = (Self::of("", a).products, Self::of("", b).products);
        a.iter().any(|a| {
            b.iter().any(|b| a == b || (a.len() >= 3 && b.len() >= 3 && (a.contains(b) || b.contains(a))))
        })
    }
}

/// Lower-case runs of letters and digits.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn push(spellings: &mut Vec<String>, words: &[String]) {
    let spelling = words.concat();
    if !NOTHING.contains(&spelling.as_str()) && !spellings.contains(&spelling) {
        spellings.push(spelling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet() {
        for (a, b) in [
            (("D-Link", "DIR-600"), ("dlink", "dir-600_firmware")),
            (("Fortinet", "Fortinet FortiOS"), ("fortinet", "fortios")),
            (("Juniper Networks", "Junos OS"), ("juniper", "junos_os")),
            (("QNAP Systems Inc.", "QTS"), ("qnap", "qts")),
            (("Palo Alto Networks", "PAN-OS"), ("paloaltonetworks", "pan-os")),
            (("Cisco", "Cisco IOS XE Software"), ("cisco", "ios_xe")),
            (("Axis Communications AB", "AXIS OS"), ("axis", "axis os")),
        ] {
            let (x, y) = (Names::of(a.0, a.1), Names::of(b.0, b.1));
            assert!(x.vendors.iter().any(|v| y.vendors.contains(v)), "{x:?} {y:?}");
            assert!(x.products.iter().any(|p| y.products.contains(p)), "{x:?} {y:?}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(Names::of("n/a", "N/A"), Names::default());
        assert_eq!(Names::of("", "-"), Names::default());
        assert!(!Names::of("Systems", "Firmware").products.is_empty(), "a name of one word is kept");
    }

    #[test]
    fn products_of_one_line_are_not_clearly_different() {
        assert!(Names::same_product("RT-AC68U", "rt_ac68u firmware"));
        assert!(Names::same_product("RT-AC68U", "ASUS RT-AC68U A2"));
        assert!(!Names::same_product("RT-AC68U", "DIR-600"));
    }
}
