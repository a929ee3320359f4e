//! What of a rule in `tags` counts for nothing, and what was meant. Pure; docker/metadata-action
//! says nothing of it, so neither do the rules.

use super::rules::{fields, key_value};
use crate::image::spelling::{is_likely_host, names_a_registry};

/// Something to tell about one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// It cannot be meant so.
    Wrong(String),
    /// It changes nothing.
    Unused(String),
}

const EVERY: [&str; 5] = ["type", "enable", "priority", "prefix", "suffix"];
/// The attributes of each type beside those of all.
const OWN: [(&str, &[&str]); 8] = [
    ("schedule", &["pattern"]),
    ("semver", &["pattern", "value", "match"]),
    ("pep440", &["pattern", "value", "match"]),
    ("match", &["pattern", "group", "value"]),
    ("edge", &["branch"]),
    ("ref", &["event"]),
    ("raw", &["value"]),
    ("sha", &["format"]),
];
/// Attributes that say nothing when they are empty; an empty prefix switches off that of the
/// flavor.
const EMPTY_IS_NOTHING: [&str; 5] = ["value", "pattern", "match", "branch", "group"];
/// How alike two names must be for one to be a slip of the other.
const ALIKE: f64 = 0.8;
/// What expressions may name in most places, the dates among them.
const GLOBALS: [&str; 8] = [
    "branch",
    "tag",
    "sha",
    "base_ref",
    "is_default_branch",
    "is_not_default_branch",
    "date",
    "commit_date",
];
/// The same in the patterns of versions.
const OF_VERSIONS: [&str; 7] = ["raw", "version", "major", "minor", "patch", "prerelease", "build"];
/// Words of the language of expressions.
const LANGUAGE: [&str; 2] = ["else", "this"];

/// What is to be told about one entry of `tags`; what is wrong by the rules of
/// docker/metadata-action is told elsewhere.
pub fn remarks(entry: &str) -> Vec<Remark> {
    let pairs: Vec<(String, String)> = fields("tags", entry)
        .unwrap_or_default()
        .iter()
        .map(|field| key_value(field))
        .map(|(key, value)| (key.unwrap_or_else(|| "value".to_owned()), value))
        .collect();
    let kind =
        pairs.iter().rfind(|(key, _)| key == "type").map_or("raw", |(_, kind)| kind.as_str());
    let Some((_, own)) = OWN.iter().find(|(known, _)| *known == kind) else { return Vec::new() };
    let known = || EVERY.iter().chain(*own);
    let mut remarks = Vec::new();
    for (key, value) in &pairs {
        if !known().any(|known| known == key) {
            remarks.push(unknown(key, kind, entry, known().copied()));
            continue;
        }
        if value.is_empty() && EMPTY_IS_NOTHING.contains(&key.as_str()) {
            let instead = match (key.as_str(), kind) {
                ("value", "semver" | "pep440" | "match") => "the Git tag is read instead",
                ("branch", _) => "the default branch is taken instead",
                ("match", _) => "all of it is read",
                _ => "the rule gives no name by it",
            };
            remarks.push(Remark::Unused(format!("`{key}=` is empty, in `{entry}`; {instead}")));
        } else if key == "value" && kind == "raw" {
            remarks.extend(raw(value));
        }
        remarks.extend(strange_names(key, kind, value, entry));
    }
    remarks
}

/// Names in expressions that nothing has: in their place stands nothing, and `v{{verison}}` is `v`.
fn strange_names(key: &str, kind: &str, value: &str, entry: &str) -> Vec<Remark> {
    let known: &[&str] = match (kind, key) {
        ("semver" | "pep440", "pattern") => &OF_VERSIONS,
        ("match", "pattern") | ("edge", "branch") | (_, "type") => return Vec::new(), // as they stand
        _ => &GLOBALS,
    };
    let told = |name: &str| {
        let near = known
            .iter()
            .chain(&OF_VERSIONS)
            .map(|known| (strsim::jaro_winkler(name, known), known))
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|one, other| one.0.total_cmp(&other.0));
        match near {
            Some((_, meant)) if !known.contains(meant) => Remark::Wrong(format!(
                "`{{{{{meant}}}}}` is known in the pattern of a version alone, in `{entry}`; write `type=semver,pattern={}`",
                value.rsplit([':', '/']).next().unwrap_or_default().replace(name, meant)
            )),
            Some((_, meant)) => Remark::Wrong(format!(
                "there is no `{{{{{name}}}}}`, in `{entry}`; did you mean `{{{{{meant}}}}}`?"
            )),
            _ => Remark::Unused(format!(
                "there is no `{{{{{name}}}}}`, in `{entry}`, so it becomes empty"
            )),
        }
    };
    let names = super::expression::names(value).into_iter();
    names.filter(|name| !known.contains(name) && !LANGUAGE.contains(name)).map(told).collect()
}

/// Names in expressions of `labels` and `annotations` that nothing has.
pub fn strange(text: &str) -> Vec<&str> {
    let is_known =
        |name: &&str| GLOBALS.contains(name) || LANGUAGE.contains(name) || *name == "version";
    super::expression::names(text).into_iter().filter(|name| !is_known(name)).collect()
}

/// The same of an item that is no rule: a tag as it is, or a whole reference.
pub fn remarks_of_item(item: &str) -> Vec<Remark> {
    strange_names("value", "raw", item, item)
}

fn unknown(
    key: &str,
    kind: &str,
    entry: &str,
    known: impl Iterator<Item = &'static str>,
) -> Remark {
    let alike = known
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let of_others = OWN.iter().any(|(_, own)| own.contains(&key));
    match alike {
        Some((alike, meant)) if alike >= ALIKE && !of_others => Remark::Wrong(format!(
            "there is no attribute `{key}`, in `{entry}`; did you mean `{meant}`?"
        )),
        _ if of_others => Remark::Unused(format!(
            "`type={kind}` has no attribute `{key}`, in `{entry}`, so it is ignored"
        )),
        _ => {
            Remark::Unused(format!("there is no attribute `{key}`, in `{entry}`, so it is ignored"))
        }
    }
}

/// A value that is put as another, or that was meant to name an image.
fn raw(value: &str) -> Option<Remark> {
    if value.contains("{{") {
        return None;
    }
    if value.split_once('/').is_some_and(|(host, _)| names_a_registry(host) && is_likely_host(host))
    {
        let tag =
            value.rsplit('/').next().unwrap_or_default().split(':').nth(1).unwrap_or("latest");
        return Some(Remark::Wrong(format!(
            "`type=raw` gives a tag, and `{value}` names an image; write `value={tag}`, and the image into `images`"
        )));
    }
    let put = super::sanitised(value);
    (put != value)
        .then(|| Remark::Unused(format!("`{value}` is not a legal tag, and becomes `{put}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_labels_name_and_nothing_has_is_known() {
        assert_eq!(
            strange("a={{verison}}\nb={{version}} {{branch}} {{ .Values.x }} {{date 'YYYY'}}"),
            ["verison"]
        );
        assert!(
            matches!(remarks_of_item("r.io/a:v{{verison}}").as_slice(), [Remark::Wrong(said)] if said.contains("pattern=v{{version}}"))
                && matches!(remarks_of_item("v{{version}}").as_slice(), [Remark::Wrong(_)])
                && remarks_of_item("{{branch}}-{{date 'YYYY'}}").is_empty()
        );
    }

    #[test]
    fn a_misspelt_attribute_is_wrong_and_a_strange_one_is_told() {
        for (entry, told) in [
            ("type=semver,pattern=v{{version}},enabled=false", "there is no attribute `enabled`"),
            ("type=semver,patern={{version}}", "did you mean `pattern`?"),
            ("type=ref,evnt=branch", "did you mean `event`?"),
            ("type=raw,value=x,sufix=-a", "did you mean `suffix`?"),
            ("type=sha,fromat=long", "did you mean `format`?"),
            ("value=x,prio=1", "did you mean `priority`?"),
            ("type=raw,value=ghcr.io/octo/app:1.0", "write `value=1.0`"),
            ("type=semver,pattern=v{{verison}}", "did you mean `{{version}}`?"),
            ("type=raw,value=b-{{brnch}}", "did you mean `{{branch}}`?"),
            ("type=raw,value=v{{version}}", "write `type=semver,pattern=v{{version}}`"),
            ("type=sha,prefix={{{ banch }}}-", "did you mean `{{branch}}`?"),
            ("type=raw,value=x,enable={{is_default_brach}}", "`{{is_default_branch}}`?"),
        ] {
            let remarks = remarks(entry);
            assert!(
                matches!(remarks.as_slice(), [Remark::Wrong(said)] if said.contains(told)),
                "{entry}: {remarks:?}"
            );
        }
        for (entry, told) in [
            ("type=raw,value=x,color=blue", "there is no attribute `color`"),
            ("type=raw,value=x-{{actor}}", "so it becomes empty"),
            ("type=sha,pattern=x", "`type=sha` has no attribute `pattern`"),
            ("type=semver,pattern={{version}},value=", "the Git tag is read instead"),
            ("type=raw,value=", "the rule gives no name by it"),
            ("type=raw,value=a b/c", "becomes `a-b-c`"),
            ("type=raw,value=1.2/x", "becomes `1.2-x`"),
        ] {
            let remarks = remarks(entry);
            assert!(
                matches!(remarks.as_slice(), [Remark::Unused(said)] if said.contains(told)),
                "{entry}: {remarks:?}"
            );
        }
        for entry in [
            "type=ref,event=branch",
            "type=raw,value=x,prefix=,suffix=",
            "v1",
            "{{branch}}",
            "type=semver,pattern={{version}},match=v(.*),value=v1",
            "type=match,pattern=v(.*),group=1",
            "type=edge,branch=dev,enable=true,priority=1",
            "type=nope,x=y",
            "type=raw,value=b:{{branch}}",
            "type=semver,pattern={{major}}.{{minor}}-{{raw}}",
            "type=schedule,pattern={{date 'YYYYMMDD' tz='UTC'}}",
            "type=raw,value={{#if is_default_branch}}a{{else}}b{{/if}}",
            "type=match,pattern=v{{x}}",
            "type=raw,value={{~branch~}}-{{& tag}}-{{{sha}}}",
        ] {
            assert_eq!(remarks(entry), [], "{entry}");
        }
    }
}
