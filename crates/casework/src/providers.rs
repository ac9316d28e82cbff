//! Who can reach the owner of an address: the provider directory and its longest-prefix match.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kenshin_observation::{OrgId, Prefix, ProviderId, TimeUs, words};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::state::Actor;
use crate::store::{Casework, Columns, Compose, Tx, Value, addr_text, query};
use crate::viewer::Viewer;

pub mod directory;

pub use directory::{Claim, Directory, DirectoryEntry, DirectoryError, Problem};

words!(
    /// How what a notice says is kept from those who carry it.
    Protection, "protection" {
        /// Encrypted to the provider's OpenPGP key.
        OpenPgp = "openpgp",
        /// The mail holds no data, only a link.
        LinkOnly = "link-only",
    }
);

/// A provider as the directory states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Its id; stays the same over imports as long as the name does.
    pub provider_id: ProviderId,
    /// Its name.
    pub name: String,
    /// Where notices go.
    pub mail: String,
    /// In which language.
    pub language: String,
    /// How they are protected.
    pub protection: Protection,
    /// The key, armoured, for [`Protection::OpenPgp`].
    pub openpgp_key: Option<String>,
    /// Prefixes and AS numbers as the directory writes them.
    pub claims: Vec<String>,
    /// True when the directory no longer names it.
    pub retired: bool,
}

/// What an import changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSummary {
    /// Providers that are new.
    pub added: usize,
    /// Providers whose mail, language, protection or claims changed, or that were named again.
    pub changed: usize,
    /// Providers that the directory no longer names.
    pub retired: usize,
    /// Prefixes that now lead to a provider.
    pub prefixes: usize,
    /// AS numbers that no table resolves yet.
    pub unresolved_asns: Vec<u32>,
    /// Cases whose addressee changed.
    pub readdressed_cases: usize,
    /// Providers that ask for a rate which cannot be kept: no network of theirs is known.
    #[serde(default)]
    pub rates_not_kept: Vec<String>,
}

/// Longest-prefix match from address to provider, in memory.
#[derive(Debug, Clone, Default)]
pub struct ProviderMap {
    /// By number of fixed bits in IPv6 terms, descending when read backwards: base to provider.
    by_bits: BTreeMap<u8, HashMap<u128, ProviderId>>,
}

impl ProviderMap {
    /// A map of these prefixes; of equal ones the first counts.
    pub fn new(prefixes: impl IntoIterator<Item = (Prefix, ProviderId)>) -> Self {
        let mut map = Self::default();
        for (prefix, provider) in prefixes {
            map.by_bits.entry(bits(prefix)).or_default().entry(mapped(prefix.base())).or_insert(provider);
        }
        map
    }

    /// The provider of the longest prefix that contains `addr`.
    pub fn find(&self, addr: IpAddr) -> Option<ProviderId> {
        let addr_bits = mapped(addr);
        self.by_bits.iter().rev().find_map(|(len, bases)| {
            let mask = u128::MAX.checked_shl(128 - u32::from(*len)).unwrap_or(0);
            // ::/0 and the like hold IPv6 only: the mapped block is another family.
            let same_family = addr.is_ipv6() || *len >= 96;
            bases.get(&(addr_bits & mask)).copied().filter(|_| same_family)
        })
    }
}

impl ProviderMap {
    /// The addresses whose longest prefix leads to one of `providers`, as ranges with both ends
    /// included, in order.
    pub fn ranges_of(&self, providers: &[ProviderId]) -> Vec<(IpAddr, IpAddr)> {
        // Each prefix overrules the shorter ones around it, so they are laid down from short to long.
        let mut ranges: BTreeMap<u128, u128> = BTreeMap::new();
        for (len, bases) in &self.by_bits {
            for (base, provider) in bases {
                let last = base | u128::MAX.checked_shr(u32::from(*len)).unwrap_or(0);
                // ::/0 and the like hold IPv6 only.
                let block = (mapped(Ipv4Addr::UNSPECIFIED.into()), mapped(Ipv4Addr::BROADCAST.into()));
                let pieces = match *len < 96 && *base <= block.0 && block.1 <= last {
                    false => vec![(*base, last)],
                    true => vec![(*base, block.0 - 1), (block.1 + 1, last)],
                };
                for (first, last) in pieces {
                    cut_out(&mut ranges, first, last);
                    if providers.contains(provider) {
                        ranges.insert(first, last);
                    }
                }
            }
        }
        let addr = |bits| Ipv6Addr::from_bits(bits).to_canonical();
        ranges.into_iter().map(|(first, last)| (addr(first), addr(last))).collect()
    }
}

/// Takes the numbers from `first` to `last` out of disjoint ranges.
fn cut_out(ranges: &mut BTreeMap<u128, u128>, first: u128, last: u128) {
    let touching: Vec<(u128, u128)> = ranges
        .range(..=last)
        .rev()
        .take_while(|(_, end)| **end >= first)
        .map(|(begin, end)| (*begin, *end))
        .collect();
    for (begin, end) in touching {
        ranges.remove(&begin);
        if begin < first {
            ranges.insert(begin, first - 1);
        }
        if end > last {
            ranges.insert(last + 1, end);
        }
    }
}

fn mapped(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Fixed bits in IPv6 terms.
fn bits(prefix: Prefix) -> u8 {
    if prefix.base().is_ipv4() { prefix.len() + 96 } else { prefix.len() }
}

impl Casework {
    /// Replaces the directory by `directory`, all or nothing: providers keep their id by name, those
    /// no longer named are retired, and findings, assets and cases get their addressees anew.
    pub async fn import_directory(
        &self,
        org: OrgId,
        directory: &Directory,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<ImportSummary> {
        let mut tx = self.begin().await?;
        let mut summary = ImportSummary::default();
        let rows = tx.rows(query("SELECT * FROM provider WHERE org_id = $1").bind(org.to_string())).await?;
        let claims = claims_by_provider(
            &tx.rows(
                query("SELECT provider_id, claim FROM provider_claim WHERE org_id = $1")
                    .bind(org.to_string()),
            )
            .await?,
        )?;
        let mut known = HashMap::new();
        for row in &rows {
            let provider = provider(row, &claims)?;
            known.insert(provider.name.clone(), provider);
        }
        tx.run(query("DELETE FROM provider_claim WHERE org_id = $1").bind(org.to_string())).await?;
        for entry in &directory.entries {
            let provider_id = match known.get(&entry.name) {
                Some(old) => {
                    if !entry.equals(old) {
                        summary.changed += 1;
                    }
                    old.provider_id
                }
                None => {
                    summary.added += 1;
                    ProviderId::new(now, self.random())
                }
            };
            tx.run(
                query(
                    "INSERT INTO provider (provider_id, org_id, name, mail, language, encryption, openpgp_key, created_us, updated_us, retired_us)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, NULL)
                     ON CONFLICT (provider_id) DO UPDATE SET mail = excluded.mail, language = excluded.language,
                       encryption = excluded.encryption, openpgp_key = excluded.openpgp_key, updated_us = excluded.updated_us, retired_us = NULL",
                )
                .bind(provider_id.to_string())
                .bind(org.to_string())
                .bind(entry.name.clone())
                .bind(entry.mail.clone())
                .bind(entry.language.clone())
                .bind(entry.protection().as_str())
                .bind(entry.openpgp_key.clone())
                .bind(now.micros()),
            )
            .await?;
            for claim in &entry.claims {
                tx.run(
                    query("INSERT INTO provider_claim (org_id, provider_id, claim) VALUES ($1, $2, $3)")
                        .bind(org.to_string())
                        .bind(provider_id.to_string())
                        .bind(claim.to_string()),
                )
                .await?;
            }
        }
        let named: BTreeSet<&str> = directory.entries.iter().map(|entry| entry.name.as_str()).collect();
        for old in known.values().filter(|old| !old.retired && !named.contains(old.name.as_str())) {
            summary.retired += 1;
            tx.run(
                query("UPDATE provider SET retired_us = $1, updated_us = $1 WHERE provider_id = $2")
                    .bind(now.micros())
                    .bind(old.provider_id.to_string()),
            )
            .await?;
        }
        (summary.prefixes, summary.unresolved_asns) = resolve_prefixes(&mut tx, org).await?;
        let map = provider_map_in(&mut tx, org).await?;
        summary.readdressed_cases = self.readdress_in(&mut tx, org, &map, actor, now).await?;
        let detail =
            serde_json::json!({ "file": directory.file, "sha256": directory.sha256, "summary": summary });
        audit_in(&mut tx, org, actor, "provider.import", &directory.file, &detail, now).await?;
        tx.commit().await?;
        Ok(summary)
    }

    /// Replaces the table of which prefixes each AS number announces, and resolves the directory's
    /// AS numbers with it.
    pub async fn import_as_table(
        &self,
        org: OrgId,
        table: &[(u32, Prefix)],
        actor: &Actor,
        now: TimeUs,
    ) -> Result<ImportSummary> {
        let mut tx = self.begin().await?;
        tx.run(query("DELETE FROM as_prefix WHERE org_id = $1").bind(org.to_string())).await?;
        for (asn, prefix) in table {
            tx.run(
                query(
                    "INSERT INTO as_prefix (org_id, asn, prefix) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                )
                .bind(org.to_string())
                .bind(i64::from(*asn))
                .bind(prefix.to_string()),
            )
            .await?;
        }
        let (prefixes, unresolved_asns) = resolve_prefixes(&mut tx, org).await?;
        let map = provider_map_in(&mut tx, org).await?;
        let readdressed_cases = self.readdress_in(&mut tx, org, &map, actor, now).await?;
        let summary =
            ImportSummary { prefixes, unresolved_asns, readdressed_cases, ..ImportSummary::default() };
        let detail = serde_json::json!({ "rows": table.len(), "summary": summary });
        audit_in(&mut tx, org, actor, "provider.as-table", "as-table", &detail, now).await?;
        tx.commit().await?;
        Ok(summary)
    }

    /// The directory's longest-prefix match, for many addresses at once.
    pub async fn provider_map(&self, org: OrgId) -> Result<ProviderMap> {
        let rows = self
            .rows(
                query("SELECT prefix, provider_id FROM provider_prefix WHERE org_id = $1")
                    .bind(org.to_string()),
            )
            .await?;
        map_of(&rows)
    }

    /// The provider of one address, by the longest prefix.
    pub async fn provider_of(&self, org: OrgId, addr: IpAddr) -> Result<Option<ProviderId>> {
        let row = self
            .maybe(
                query(
                    "SELECT provider_id FROM provider_prefix WHERE org_id = $1 AND first_addr <= $2 AND last_addr >= $2
                       AND bits >= $3 ORDER BY bits DESC LIMIT 1",
                )
                .bind(org.to_string())
                .bind(addr_text(addr))
                // ::/0 and the like say nothing about IPv4, whatever the mapping.
                .bind(if addr.is_ipv4() { 96i64 } else { 0 }),
            )
            .await?;
        row.map(|row| row.word("provider_id")).transpose()
    }

    /// Prefixes a provider answers for: what its re-checks may cover.
    pub async fn provider_prefixes(&self, org: OrgId, id: ProviderId) -> Result<Vec<Prefix>> {
        let rows = self
            .rows(
                query("SELECT prefix FROM provider_prefix WHERE org_id = $1 AND provider_id = $2 ORDER BY first_addr, bits")
                    .bind(org.to_string())
                    .bind(id.to_string()),
            )
            .await?;
        rows.iter().map(|row| row.word("prefix")).collect()
    }

    /// One provider.
    pub async fn provider(&self, viewer: &Viewer, id: ProviderId) -> Result<Provider> {
        let found = if viewer.sees(Some(id)) {
            self.maybe(
                query("SELECT * FROM provider WHERE org_id = $1 AND provider_id = $2")
                    .bind(viewer.org.to_string())
                    .bind(id.to_string()),
            )
            .await?
        } else {
            None
        };
        let row = found.ok_or_else(|| CaseworkError::not_found("provider", id))?;
        let claims = self
            .rows(
                query("SELECT provider_id, claim FROM provider_claim WHERE provider_id = $1 ORDER BY claim")
                    .bind(id.to_string()),
            )
            .await?;
        provider(&row, &claims_by_provider(&claims)?)
    }

    /// Providers by name.
    pub async fn providers(&self, viewer: &Viewer, page: &PageRequest) -> Result<Page<Provider>> {
        let mut compose = Compose::new("SELECT p.* FROM provider p WHERE 1 = 1");
        compose.push(" AND p.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND p.provider_id IN ");
        if let Some(after) = &page.after {
            compose.push(" AND p.provider_id > ?", [after.clone()]);
        }
        compose.push(" ORDER BY p.provider_id LIMIT ?", [Value::Int(page.fetch())]);
        let rows = self.rows(compose.finish()).await?;
        let mut wanted = Compose::new("SELECT provider_id, claim FROM provider_claim WHERE 1 = 1");
        let ids = rows.iter().map(|row| row.text("provider_id")).collect::<Result<Vec<_>>>()?;
        wanted.push_list(" AND provider_id IN ", ids);
        wanted.text(" ORDER BY claim");
        let claims = claims_by_provider(&self.rows(wanted.finish()).await?)?;
        let providers = rows.iter().map(|row| provider(row, &claims)).collect::<Result<_>>()?;
        Ok(Page::of(providers, page, |provider: &Provider| provider.provider_id.to_string()))
    }
}

/// Computes which prefix leads to whom, from claims and the AS table. Gives the number of prefixes
/// and the AS numbers nothing is known about.
async fn resolve_prefixes(tx: &mut Tx, org: OrgId) -> Result<(usize, Vec<u32>)> {
    tx.run(query("DELETE FROM provider_prefix WHERE org_id = $1").bind(org.to_string())).await?;
    let claims = tx
        .rows(
            query("SELECT provider_id, claim FROM provider_claim WHERE org_id = $1 ORDER BY claim")
                .bind(org.to_string()),
        )
        .await?;
    let (mut prefixes, mut unresolved) = (0, Vec::new());
    let mut by_as = Vec::new();
    for row in &claims {
        let provider = row.text("provider_id")?;
        match row.word::<Claim>("claim")? {
            Claim::Prefix(prefix) => {
                prefixes += insert_prefix(tx, org, &provider, prefix, "directory").await?
            }
            Claim::As(asn) => by_as.push((asn, provider)),
        }
    }
    // Prefixes written in the directory come first: a claim by name beats one by AS number.
    for (asn, provider) in by_as {
        let announced = tx
            .rows(
                query("SELECT prefix FROM as_prefix WHERE org_id = $1 AND asn = $2 ORDER BY prefix")
                    .bind(org.to_string())
                    .bind(i64::from(asn)),
            )
            .await?;
        if announced.is_empty() {
            unresolved.push(asn);
        }
        for row in &announced {
            let origin = Claim::As(asn).to_string();
            prefixes += insert_prefix(tx, org, &provider, row.word("prefix")?, &origin).await?;
        }
    }
    Ok((prefixes, unresolved))
}

async fn insert_prefix(
    tx: &mut Tx,
    org: OrgId,
    provider: &str,
    prefix: Prefix,
    origin: &str,
) -> Result<usize> {
    let inserted = tx
        .run(
            query(
                "INSERT INTO provider_prefix (org_id, provider_id, prefix, first_addr, last_addr, bits, origin)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (org_id, prefix) DO NOTHING",
            )
            .bind(org.to_string())
            .bind(provider.to_owned())
            .bind(prefix.to_string())
            .bind(addr_text(prefix.base()))
            .bind(addr_text(prefix.last()))
            .bind(i64::from(bits(prefix)))
            .bind(origin.to_owned()),
        )
        .await?;
    Ok(usize::from(inserted > 0))
}

pub(crate) async fn provider_map_in(tx: &mut Tx, org: OrgId) -> Result<ProviderMap> {
    let rows = tx
        .rows(
            query("SELECT prefix, provider_id FROM provider_prefix WHERE org_id = $1").bind(org.to_string()),
        )
        .await?;
    map_of(&rows)
}

fn map_of(rows: &[AnyRow]) -> Result<ProviderMap> {
    let prefixes = rows
        .iter()
        .map(|row| Ok((row.word("prefix")?, row.word("provider_id")?)))
        .collect::<Result<Vec<(Prefix, ProviderId)>>>()?;
    Ok(ProviderMap::new(prefixes))
}

fn claims_by_provider(rows: &[AnyRow]) -> Result<HashMap<ProviderId, Vec<String>>> {
    let mut claims: HashMap<ProviderId, Vec<String>> = HashMap::new();
    for row in rows {
        claims.entry(row.word("provider_id")?).or_default().push(row.text("claim")?);
    }
    Ok(claims)
}

fn provider(row: &AnyRow, claims: &HashMap<ProviderId, Vec<String>>) -> Result<Provider> {
    let provider_id = row.word("provider_id")?;
    Ok(Provider {
        provider_id,
        name: row.text("name")?,
        mail: row.text("mail")?,
        language: row.text("language")?,
        protection: row.word("encryption")?,
        openpgp_key: row.maybe_text("openpgp_key")?,
        claims: claims.get(&provider_id).cloned().unwrap_or_default(),
        retired: row.maybe_int("retired_us")?.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_within_its_family() {
        let id = |n| ProviderId::from_bits(n);
        let map = ProviderMap::new([
            ("10.0.0.0/8".parse().unwrap(), id(1)),
            ("10.1.0.0/16".parse().unwrap(), id(2)),
            ("10.1.2.3/32".parse().unwrap(), id(3)),
            ("::/0".parse().unwrap(), id(4)),
            ("2001:db8::/32".parse().unwrap(), id(5)),
        ]);
        let find = |addr: &str| map.find(addr.parse().unwrap());
        assert_eq!(find("10.9.9.9"), Some(id(1)));
        assert_eq!(find("10.1.9.9"), Some(id(2)));
        assert_eq!(find("10.1.2.3"), Some(id(3)));
        assert_eq!(find("192.0.2.1"), None, "::/0 says nothing about IPv4");
        assert_eq!(find("2001:db8::1"), Some(id(5)));
        assert_eq!(find("2001:db9::1"), Some(id(4)));
    }

    #[test]
    fn ranges_are_what_the_longest_prefix_says() {
        let id = |n| ProviderId::from_bits(n);
        let map = ProviderMap::new([
            ("10.0.0.0/8".parse().unwrap(), id(1)),
            ("10.1.0.0/16".parse().unwrap(), id(2)),
            ("10.1.2.3/32".parse().unwrap(), id(1)),
            ("::/0".parse().unwrap(), id(4)),
            ("2001:db8::/32".parse().unwrap(), id(5)),
        ]);
        let text = |providers: &[ProviderId]| {
            let one = |(first, last): &(IpAddr, IpAddr)| format!("{first}-{last}");
            map.ranges_of(providers).iter().map(one).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(&[id(1)]), "10.0.0.0-10.0.255.255 10.1.2.3-10.1.2.3 10.2.0.0-10.255.255.255");
        assert_eq!(text(&[id(2)]), "10.1.0.0-10.1.2.2 10.1.2.4-10.1.255.255");
        assert_eq!(text(&[]), "");
        let ranges = map.ranges_of(&[id(4), id(2)]);
        for addr in
            ["0.0.0.0", "10.1.0.0", "10.1.2.3", "10.2.0.0", "::1", "2001:db8::1", "2001:db9::", "ffff::"]
        {
            let addr: IpAddr = addr.parse().unwrap();
            let inside = ranges
                .iter()
                .any(|(first, last)| mapped(*first) <= mapped(addr) && mapped(addr) <= mapped(*last));
            assert_eq!(inside, map.find(addr).is_some_and(|found| [id(4), id(2)].contains(&found)), "{addr}");
        }
    }
}
