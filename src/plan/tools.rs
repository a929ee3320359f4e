//! Inputs → what becomes of SARIF files of other tools. Pure; it says where they change nothing.

use serde_json::{Value, json};

use crate::assess::tools::ToolTerms;
use crate::inputs::ScanInputs;
use crate::scan::tools::gate::ToolRules;
use crate::text::plural;

/// What is done with the files, or why nothing is. `merges`: whether something takes their runs.
pub(super) fn of(scan: &ScanInputs, merges: bool) -> (Option<ToolTerms>, Vec<String>) {
    if scan.sarif_files.is_empty() {
        return (None, Vec::new());
    }
    if !merges && !scan.fail_on_sarif {
        let notice =
            "input `sarif-files` has no effect: neither `sarif-file` nor `fail-on-sarif` is set";
        return (None, vec![notice.to_owned()]);
    }
    let rules = &scan.terms.rules;
    let gate = scan
        .fail_on_sarif
        .then_some(ToolRules { fail_on: rules.fail_on, fail_on_unknown: rules.fail_on_unknown });
    let ignore_files = scan.terms.ignore_files.clone();
    (Some(ToolTerms { files: scan.sarif_files.clone(), gate, ignore_files }), Vec::new())
}

/// For machines.
pub(super) fn json(terms: Option<&ToolTerms>) -> Value {
    let Some(terms) = terms else { return Value::Null };
    let files: Vec<String> = terms.files.iter().map(|file| file.display().to_string()).collect();
    let fail_on = terms.gate.map(|gate| gate.fail_on.map_or("none", |level| level.as_str()));
    json!({ "files": files, "failOn": fail_on })
}

/// For people.
pub(super) fn words(terms: &ToolTerms) -> String {
    let refuses = match terms.gate {
        None => "nothing in them refuses".to_owned(),
        Some(gate) => {
            let level = gate.fail_on.map(|level| format!("{level} or worse"));
            let unknown = gate.fail_on_unknown.then(|| "what nobody rates".to_owned());
            let all: Vec<String> = level.into_iter().chain(unknown).collect();
            format!("{} refuses", all.join(" and "))
        }
    };
    format!("{} of other tools; {refuses}", plural(terms.files.len(), "SARIF file"))
}
