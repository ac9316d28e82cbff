//! Components that nobody maintains any more: a device that is built on one is not mended by an
//! update of it, because there is none.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use kenshin_observation::{FindingKind, Identity, Remedy, Severity, TimeUs};

use super::known::{self, Conclusion, Shown, Trace};
use crate::component::{Carried, Certainty, Ground, Maintenance, Supported, carried};
use crate::identity::Field;
use crate::intelligence::{Day, Intelligence};

/// Percent below which a component that is only known of is not told.
const SURE: u8 = 60;

/// One conclusion for each component, whatever the number of its services. Of a host that names a
/// distribution the components that show are left out.
pub(super) fn conclusions(
    identity: &Identity,
    distribution: bool,
    intelligence: &Intelligence,
    now: TimeUs,
) -> Vec<Conclusion> {
    let mut found: BTreeMap<String, Conclusion> = BTreeMap::new();
    let mut all = carried(identity, intelligence);
    // Of several versions of one component the surest is told.
    all.sort_by_key(|carried| Reverse((carried.certainty, carried.confidence)));
    for carried in all {
        // What is inferred of a family is for people to look into, and no accusation.
        let told = match carried.certainty {
            Certainty::Visible => !distribution,
            Certainty::Known => carried.confidence >= SURE,
            Certainty::Inferred => false,
        };
        if !told {
            continue;
        }
        let maintenance = intelligence.maintenance(&carried.part(), Day::of(now));
        if maintenance.supported == Supported::Unmaintained
            && let Some(conclusion) = conclusion(identity, &carried, maintenance)
        {
            found.entry(carried.key).or_insert(conclusion);
        }
    }
    found.into_values().collect()
}

fn conclusion(identity: &Identity, carried: &Carried, maintenance: Maintenance) -> Option<Conclusion> {
    let visible = carried.certainty == Certainty::Visible;
    let code = match (visible, maintenance.since) {
        (true, Some(_)) => "finding.unmaintained-component",
        (true, None) => "finding.unmaintained-component.undated",
        (false, Some(_)) => "finding.unmaintained-component.known",
        (false, None) => "finding.unmaintained-component.known.undated",
    };
    let name = match &carried.version {
        Some(version) => format!("{} {version}", carried.name),
        None => carried.name.clone(),
    };
    let mut args = vec![("component", name)];
    args.extend(maintenance.since.map(|since| ("since", since.to_string())));
    let mut snapshots: Vec<String> = maintenance.snapshot.into_iter().collect();
    let trace = if visible {
        Trace::Texts(carried.evidence.iter().filter_map(shown).collect())
    } else {
        let device = known::device(identity)?;
        let stated = carried.evidence.iter().find_map(|ground| match ground {
            Ground::Stated { source, snapshot, .. } => Some((source, snapshot)),
            Ground::Shown { .. } => None,
        });
        if let Some((source, snapshot)) = stated {
            args.push(("source", source.clone()));
            snapshots.push(snapshot.clone());
        }
        args.push(("product", device.label.clone()));
        device.trace()
    };
    snapshots.dedup();
    Some(Conclusion {
        kind: FindingKind::UnmaintainedComponent,
        severity: if visible { Severity::High } else { Severity::Medium },
        remedy: Remedy::Replace,
        confidence: carried.confidence,
        discriminator: carried.key.clone(),
        code,
        args,
        snapshots,
        trace,
    })
}

/// Where the host shows the component, and the text that does.
fn shown(ground: &Ground) -> Option<Shown> {
    let Ground::Shown { reason, port, text } = ground else { return None };
    let origin = reason.rsplit(' ').next().and_then(|origin| origin.rsplit_once(':'));
    let mut fields = Field::ALL.iter().map(|field| field.as_str());
    let field = origin.and_then(|(name, _)| fields.find(|field| *field == name));
    Some(Shown { port: *port, field, text: text.clone() })
}
