//! Devices, what is inside of them, and what is wrong with them.

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Asset {
    /// List assets as they were last seen.
    List {
        /// Only those at this address or in this prefix.
        #[arg(long, value_name = "PREFIX")]
        at: Option<kenshin_observation::Prefix>,
        /// Most rows.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one asset: what it was taken for, how sure that is, and which fingerprint read it from what.
    Show {
        /// Its id.
        id: kenshin_observation::AssetId,
    },
}

/// How an advisory is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AdvisoryForm {
    /// CSAF 2.0, JSON.
    Csaf,
    /// A page, Markdown.
    Page,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Component {
    /// List every component that assets carry, and whether somebody maintains it.
    List,
    /// Show which assets carry a component, how sure that is and on what evidence, and of how many it is
    /// not known.
    Show {
        /// The component, as NAME or NAME:VERSIONS, such as `boa`, `gsoap:<2.8.48`, `openssl:1.0.2k`.
        #[arg(value_name = "NAME[:VERSIONS]")]
        query: kenshin_insight::component::Query,
        /// Most rows; all are counted.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Draft an advisory against a component that nobody maintains, in the language asked for.
    Advisory {
        /// The component, as NAME or NAME:VERSIONS.
        #[arg(value_name = "NAME[:VERSIONS]")]
        query: kenshin_insight::component::Query,
        /// CSAF 2.0 (JSON) for machines, or a page (Markdown) for people.
        #[arg(id = "as", long = "as", value_enum, default_value_t = AdvisoryForm::Page)]
        form: AdvisoryForm,
    },
    /// Show which assets have a vulnerability, by what they show or by what their product is known to
    /// contain.
    Affected {
        /// The vulnerability.
        cve: kenshin_insight::intelligence::CveId,
        /// Most rows; all are counted.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Finding {
    /// List findings.
    List {
        /// Only this kind.
        #[arg(long)]
        kind: Option<kenshin_observation::FindingKind>,
        /// In which order: key or priority, the most urgent first.
        #[arg(long, default_value = "key", value_name = "ORDER")]
        sort: kenshin_casework::Order,
        /// Most rows.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one finding with its evidence.
    Show {
        /// Its key, or the beginning of it.
        key: String,
    },
    /// Explain one finding from bytes to conclusion.
    Explain {
        /// Its key, or the beginning of it.
        key: String,
    },
}
