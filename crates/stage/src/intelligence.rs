//! The town's small intelligence set, in the genuine formats. The products are real names, the
//! vulnerabilities are invented: their ids lie in the year 2099.

/// Texts of the formats that operators import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TownIntelligence {
    /// Known exploited vulnerabilities, the catalogue's JSON.
    pub kev: &'static str,
    /// CVE records version 5, one a line.
    pub cve: &'static str,
    /// Release cycles: file name and text of each product, as endoflife.date keeps them.
    pub endoflife: &'static [(&'static str, &'static str)],
    /// Exploit prediction scores, CSV.
    pub epss: &'static str,
}

macro_rules! products {
    ($($name:literal,)+) => {
        &[$((concat!($name, ".md"), include_str!(concat!("../intelligence/endoflife/", $name, ".md"))),)+]
    };
}

impl TownIntelligence {
    pub(crate) const fn shipped() -> Self {
        Self {
            kev: include_str!("../intelligence/kev.json"),
            cve: include_str!("../intelligence/cve.jsonl"),
            endoflife: products![
                "alliedware-plus",
                "apc-nmc",
                "dlink-dir-615",
                "landisk-hdl-a",
                "openwrt",
                "routeros",
            ],
            epss: include_str!("../intelligence/epss_scores.csv"),
        }
    }
}
