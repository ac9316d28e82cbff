//! The formats by name.

use kenshin_observation::words;

words!(
    /// A scanner that others use.
    Tool, "scanner" {
        /// ZMap: who answers.
        Zmap = "zmap",
        /// zgrab2: what they say.
        Zgrab2 = "zgrab2",
        /// masscan: who answers, and first banners.
        Masscan = "masscan",
        /// nmap: ports and services.
        Nmap = "nmap",
    }
);

words!(
    /// A format of results, read and written.
    Format, "format" {
        /// ZMap's CSV (`-O csv`).
        ZmapCsv = "zmap-csv",
        /// ZMap's JSON lines (`-O json`).
        ZmapJson = "zmap-json",
        /// zgrab2's JSON lines: one object a host.
        Zgrab2 = "zgrab2",
        /// masscan's JSON (`-oJ`).
        MasscanJson = "masscan-json",
        /// masscan's list (`-oL`).
        MasscanList = "masscan-list",
        /// nmap's XML (`-oX`).
        NmapXml = "nmap-xml",
    }
);

words!(
    /// A format of target lists.
    TargetFormat, "target format" {
        /// One or more targets a line; `#` begins a comment.
        List = "list",
        /// ZMap's list of prefixes, for what to scan or to spare; host bits are ignored.
        ZmapList = "zmap-list",
        /// What masscan takes (`-iL`) or writes (`-oL`); host bits are ignored.
        Masscan = "masscan",
        /// ZMap's CSV, by its column `saddr`, and `sport` where there is one.
        ZmapCsv = "zmap-csv",
        /// nmap's XML: the open ports of each host; a host without any, when it is up.
        NmapXml = "nmap-xml",
    }
);

impl Format {
    /// Whose format it is.
    pub const fn tool(self) -> Tool {
        match self {
            Self::ZmapCsv | Self::ZmapJson => Tool::Zmap,
            Self::Zgrab2 => Tool::Zgrab2,
            Self::MasscanJson | Self::MasscanList => Tool::Masscan,
            Self::NmapXml => Tool::Nmap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_never_change() {
        let tools: Vec<&str> = Tool::ALL.iter().map(|word| word.as_str()).collect();
        assert_eq!(tools, ["zmap", "zgrab2", "masscan", "nmap"]);
        let formats: Vec<&str> = Format::ALL.iter().map(|word| word.as_str()).collect();
        assert_eq!(formats, ["zmap-csv", "zmap-json", "zgrab2", "masscan-json", "masscan-list", "nmap-xml"]);
    }
}
