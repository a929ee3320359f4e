//! Accepted risks → those that are about secrets, or about what is set in an unwise way. It reads
//! no file, and drops no rule in silence: whose it is not, is said by whoever it belongs to.

use crate::scan::accepted::{AcceptedRisk, AcceptedRisks};
use crate::secrets::verdict::Waiver;
use crate::secrets::{rules, weakness};

/// By what each is known: a fingerprint or a rule of ours, and no package.
pub fn is_about_secrets(risk: &AcceptedRisk) -> bool {
    let is_ours =
        |id: &str| id.starts_with("sha256:") || rules::is_rule(id) || weakness::is_rule(id);
    risk.package.is_none() && risk.id.as_deref().is_some_and(is_ours)
}

pub fn of(accepted: &AcceptedRisks) -> Vec<Waiver> {
    let ours = accepted.risks().iter().filter(|risk| is_about_secrets(risk));
    let waiver = |risk: &AcceptedRisk| {
        let (reason, place) = (risk.reason.clone(), risk.place.clone());
        Some(Waiver { id: risk.id.clone()?, path: None, reason, expires: risk.expires, place })
    };
    ours.filter_map(waiver).collect()
}
