//! Inputs → whether a release is searched for secrets, and what refuses it. Pure; it says of inputs
//! that change nothing so.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::PlannedRelease;
use crate::inputs::Inputs;
use crate::secrets::verdict::SecretsTerms;
use crate::secrets::weakness::Gravity;

/// Whether layers and configs are searched before a tag is set.
#[derive(Debug, Clone)]
pub enum SearchPlan {
    Search {
        terms: SecretsTerms,
        misconfig: Option<Gravity>,
        ignore_files: Vec<PathBuf>,
    },
    /// Why they are not.
    Not(String),
}

impl SearchPlan {
    pub fn is_wanted(&self) -> bool {
        matches!(self, Self::Search { .. })
    }

    fn terms(terms: SecretsTerms) -> &'static str {
        match terms {
            SecretsTerms::Never => "none",
            SecretsTerms::Verifiable => "verifiable",
            SecretsTerms::Any => "any",
        }
    }

    /// For machines.
    pub fn json(&self) -> Value {
        match self {
            Self::Not(why) => json!({ "search": false, "why": why }),
            Self::Search { terms, misconfig, .. } => json!({
                "search": true,
                "failOnSecrets": Self::terms(*terms),
                "failOnMisconfig": misconfig.map_or("none", Gravity::severity),
            }),
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Not(why) => format!("for no secret: {why}"),
            Self::Search { terms, misconfig, .. } => {
                let secrets = match terms {
                    SecretsTerms::Never => "secrets refuse nothing",
                    SecretsTerms::Verifiable => "private keys and tokens refuse",
                    SecretsTerms::Any => "whatever looks like a secret refuses",
                };
                let misconfig = misconfig
                    .map(|least| {
                        let worse = if least == Gravity::Error { "" } else { " or worse" };
                        format!("; misconfiguration that is {}{worse} refuses", least.severity())
                    })
                    .unwrap_or_default();
                format!("the image's own layers and its config, for secrets; {secrets}{misconfig}")
            }
        }
    }
}

impl PlannedRelease {
    /// Decides whether it is searched.
    pub(super) fn searched(mut self, inputs: &Inputs) -> Self {
        self.search = match inputs.scan.fail_on_secrets {
            Some(terms) => SearchPlan::Search {
                terms,
                misconfig: inputs.scan.fail_on_misconfig,
                ignore_files: inputs.scan.terms.ignore_files.clone(),
            },
            None => {
                let why = "`fail-on-secrets: skip`".to_owned();
                self.about.notices.push(format!(
                    "no layer is searched for secrets, so none can refuse the image: {why}"
                ));
                SearchPlan::Not(why)
            }
        };
        self
    }
}
