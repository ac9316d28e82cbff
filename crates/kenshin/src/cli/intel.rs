//! What is known, and how well devices are told apart.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IntelKind {
    /// CISA's known exploited vulnerabilities, JSON or CSV.
    Kev,
    /// CVE records v5 and NVD's API 2.0, JSON or JSON lines; give both in one import.
    #[value(alias = "cve")]
    Cve5,
    /// Product cycles of endoflife.date: product files, or the JSON of its API.
    Endoflife,
    /// FIRST's exploit prediction scores, CSV.
    Epss,
    /// Bills of materials: CycloneDX (JSON, XML) and SPDX (JSON, tag-value, 3.0). Each import adds to
    /// those before; what they said of the same product and version is replaced.
    Sbom,
    /// What product families contain and what nobody maintains, by hand: TOML or CSV.
    ComponentList,
    /// Pages as they should be on a product and version, TOML.
    KnownGood,
    /// Keys that everybody can have: ssh-host-key or tls-public-key, SHA-256, label; one a line.
    Keys,
    /// Advisories and VEX statements, CSAF 2.0; a maker's "not affected" is honoured.
    Csaf,
    /// Vulnerabilities of packages, OSV JSON.
    Osv,
    /// JVN iPedia, RDF feeds or detailed lists: Japanese titles beside the CVE.
    Jvn,
    /// IEEE's registry of hardware addresses (oui.csv): makers by MAC address.
    Oui,
    /// Autonomous systems of addresses: CSV, ip2asn TSV, or MaxMind DB.
    Asn,
    /// Countries of addresses: CSV, ip2asn TSV, or MaxMind DB.
    Country,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Intel {
    /// Import files; a malformed record is reported by file and position and does not stop the rest.
    #[command(
        after_help = "Files may be packed with gzip, tar or zip. One import is one snapshot and takes the place of \
        the one before of its kind: name all files of a kind at once. Findings name the snapshot they stand on.\n\n\
        Example: kenshin intel import cve5 cvelistV5-main.tar.gz nvdcve-2.0-2026.json.gz"
    )]
    Import {
        /// What the files are.
        #[arg(value_enum)]
        kind: IntelKind,
        /// Files or folders.
        #[arg(required = true)]
        file: Vec<PathBuf>,
        /// Of bills of materials: the product they are of, whatever they say of themselves. A product
        /// that ends in * is a family.
        #[arg(long, value_name = "VENDOR:PRODUCT[:VERSIONS]")]
        product: Option<kenshin_insight::component::Family>,
    },
    /// Fetch what changed from the publishers and import it.
    #[command(
        after_help = "What has not changed is not fetched again, and a transfer that broke off goes on where it \
        stopped. What fails is told with its address, its snapshot stays in use, and the others go on; the exit code is 3 \
        then.\n\n\
        Addresses, mirrors and checksums are in kenshin.toml; named ones take the place of the publishers' own:\n  \
        [[intel]]\n  kind = \"csaf\"\n  url = \"https://psirt.vendor.example/csaf.tar.gz\"\n  \
        mirror = \"https://mirror.example/csaf.tar.gz\"\n  sha256 = \"https://psirt.vendor.example/SHA256SUMS\"\n\n\
        Example: kenshin intel update kev epss"
    )]
    Update {
        /// Kinds to fetch; default: every kind that has an address.
        #[arg(value_enum)]
        kind: Vec<IntelKind>,
    },
    /// What is known of each kind, how old it is, and what is stale.
    Status,
    /// Ask what is known of one version of one product, and who says it.
    #[command(
        after_help = "A maker's statement that the version is not affected or fixed (VEX) ends the match and is \
        named; where two contradict each other the status is unknown.\n\n\
        Example: kenshin intel match Siemens ModelSim V2024.2"
    )]
    Match {
        /// Vendor, as records name it.
        vendor: String,
        /// Product.
        product: String,
        /// Version.
        #[arg(id = "of_version", value_name = "VERSION")]
        version: String,
    },
}

/// Which fingerprints are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichPack {
    /// The shipped pack.
    Own,
    /// Recog's, as imported by the operator.
    Recog,
    /// The shipped pack, then Recog's.
    Both,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Insight {
    /// Identify labelled banners, and say how often that was right.
    #[command(long_about = "Identify labelled banners, and say how often that was right.\n\n\
        One JSON object a line: {\"service\":\"ftp|http|ssh|telnet|snmp|upnp|rtsp|smtp|tls\",\"banner\":\"...\" or \
        \"banner_base64\":\"...\",\"truth\":{\"vendor\":...,\"product\":...,\"type\":...,\"version\":...}}. What the truth \
        leaves out is not judged; of a list any item is right. Names are compared after the normalisation that \
        docs/insight.md states.")]
    Eval {
        /// The labelled banners (JSON lines).
        file: PathBuf,
        /// Which fingerprints are asked; default: both where Recog's are found, else the shipped pack.
        #[arg(long, value_enum)]
        pack: Option<WhichPack>,
        /// Folder with Recog's XML files; default: what kenshin.toml names under `fingerprints`, else
        /// intel/recog in the home, else ../shared/data/recog.
        #[arg(long, env = "KENSHIN_RECOG", value_name = "DIR")]
        recog: Option<PathBuf>,
        /// List the wrong answers too.
        #[arg(long)]
        wrong: bool,
        /// Draw how sure the answers were against how often they were right, as SVG, into this file.
        #[arg(long, value_name = "FILE.svg")]
        plot: Option<PathBuf>,
    },
}
