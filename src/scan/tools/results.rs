//! Results of a run of SARIF, each with its rule → what is judged of them, and what GitHub takes of
//! them. A result that says two things is refused.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{ResultStanding, ToolRating, ToolResult};
use crate::scan::severity::SeverityLevel;
use crate::scan::text::plain;

/// GitHub refuses a file with more, of each result and each rule.
const MOST_LOCATIONS: usize = 1_000;
const MOST_STEPS: usize = 10_000;
const MOST_TAGS: usize = 20;

/// The rules of the tool itself, and those of each of its extensions.
pub(super) struct RulesOfRun<'a> {
    components: Vec<RulesOfComponent<'a>>,
}

struct RulesOfComponent<'a> {
    name: Option<&'a str>,
    guid: Option<&'a str>,
    rules: &'a [Value],
    by_id: BTreeMap<&'a str, usize>,
}

impl<'a> RulesOfRun<'a> {
    pub(super) fn read(run: &'a Value) -> Result<Self, String> {
        let extensions = match run.pointer("/tool/extensions") {
            None | Some(Value::Null) => &[],
            Some(Value::Array(extensions)) => extensions.as_slice(),
            Some(_) => return Err("its `tool.extensions` are no list".to_owned()),
        };
        let all = run.pointer("/tool/driver").into_iter().chain(extensions);
        Ok(Self { components: all.map(RulesOfComponent::read).collect::<Result<_, _>>()? })
    }

    pub(super) fn count(&self) -> usize {
        self.components.iter().map(|component| component.rules.len()).sum()
    }

    /// The rule of a result; `None` where nothing more is said of it.
    fn of(&self, result: &Value, id: Option<&str>) -> Result<Option<&'a Value>, String> {
        let reference = result.pointer("/rule/toolComponent");
        let component = reference.map(|reference| self.component(reference)).transpose()?;
        let index = result.get("ruleIndex").or_else(|| result.pointer("/rule/index"));
        let index = match index.map(Value::as_i64) {
            None | Some(Some(-1)) => None,
            Some(Some(index)) => Some(usize::try_from(index).map_err(|_| lost(index))?),
            Some(None) => return Err("its `ruleIndex` is no whole number".to_owned()),
        };
        if let Some(index) = index {
            let rules = component.or(self.components.first()).map(|component| component.rules);
            let rule = rules.and_then(|rules| rules.get(index)).ok_or_else(|| lost(index))?;
            let own = rule.get("id").and_then(Value::as_str).unwrap_or_default();
            return match id {
                Some(id) if id != own && !id.starts_with(&format!("{own}/")) => Err(format!(
                    "it is of rule `{}`, and its `ruleIndex` names rule `{}`",
                    plain(id),
                    plain(own)
                )),
                _ => Ok(Some(rule)),
            };
        }
        let Some(id) = id else { return Ok(None) };
        // `CA1000/1` is a part of the rule `CA1000`.
        let names = std::iter::successors(Some(id), |name| Some(name.rsplit_once('/')?.0));
        let mut found = names.flat_map(|name| {
            let some = component.into_iter();
            let any = self.components.iter().filter(|_| component.is_none());
            some.chain(any).filter_map(move |it| it.rules.get(*it.by_id.get(name)?))
        });
        Ok(found.next())
    }

    fn component(&self, reference: &Value) -> Result<&RulesOfComponent<'a>, String> {
        let text = |name: &str| reference.get(name).and_then(Value::as_str);
        let index = reference.get("index").and_then(Value::as_i64).filter(|index| *index >= 0);
        let found = match (index, text("guid"), text("name")) {
            (Some(index), ..) => {
                usize::try_from(index).ok().and_then(|index| self.components.get(index + 1))
            }
            (None, Some(guid), _) => self.components.iter().find(|it| it.guid == Some(guid)),
            (None, None, Some(name)) => self.components.iter().find(|it| it.name == Some(name)),
            (None, None, None) => self.components.first(),
        };
        found.ok_or_else(|| "its rule is of a part of the tool that is not there".to_owned())
    }
}

impl<'a> RulesOfComponent<'a> {
    fn read(component: &'a Value) -> Result<Self, String> {
        let rules = match component.get("rules") {
            None | Some(Value::Null) => &[],
            Some(Value::Array(rules)) => rules.as_slice(),
            Some(_) => return Err("the `rules` of its tool are no list".to_owned()),
        };
        let mut by_id = BTreeMap::new();
        for (at, rule) in rules.iter().enumerate() {
            let id = rule.get("id").and_then(Value::as_str).unwrap_or_default();
            if id.is_empty() {
                return Err(format!("rule {} has no `id`", at + 1));
            }
            if by_id.insert(id, at).is_some() {
                return Err(format!("rule `{}` stands in it twice", plain(id)));
            }
        }
        let text = |name: &str| component.get(name).and_then(Value::as_str);
        Ok(Self { name: text("name"), guid: text("guid"), rules, by_id })
    }
}

fn lost(index: impl std::fmt::Display) -> String {
    format!("its `ruleIndex` is `{index}`, and there is no such rule")
}

pub(super) fn read(
    result: &Value,
    rules: &RulesOfRun<'_>,
    run: &Value,
) -> Result<ToolResult, String> {
    if !result.is_object() {
        return Err("it is no object".to_owned());
    }
    let own = text(result, "ruleId")?;
    let by_reference = result.get("rule").map(|rule| text(rule, "id")).transpose()?.flatten();
    let id = match (own, by_reference) {
        (Some(one), Some(other)) if one != other => {
            return Err(format!("it is of rules `{}` and `{}`", plain(one), plain(other)));
        }
        (own, by_reference) => own.or(by_reference),
    };
    let rule = rules.of(result, id)?;
    let of_rule = rule.and_then(|rule| rule.get("id")).and_then(Value::as_str);
    let name = id.or(of_rule).unwrap_or_default();
    let kind = text(result, "kind")?.unwrap_or("fail");
    let standing = match kind {
        "pass" | "notApplicable" | "informational" => ResultStanding::Passed,
        _ if text(result, "baselineState")? == Some("absent") => ResultStanding::Passed,
        "fail" | "open" | "review" if is_suppressed(result)? => ResultStanding::Suppressed,
        "fail" | "open" | "review" => ResultStanding::Found,
        other => return Err(format!("its `kind` is `{}`, which is none", plain(other))),
    };
    let rating = match kind {
        // The tool could not decide, so nobody knows how bad it is.
        "open" | "review" => ToolRating { level: SeverityLevel::Unknown, word: kind.to_owned() },
        _ => rating(result, rule)?,
    };
    let message = result.pointer("/message/text").or_else(|| result.pointer("/message/markdown"));
    Ok(ToolResult {
        rule: name.to_owned(),
        ids: ids(name, result, rule),
        rating,
        place: place(result, run),
        message: message.and_then(Value::as_str).unwrap_or_default().to_owned(),
        standing,
    })
}

fn text<'a>(value: &'a Value, name: &str) -> Result<Option<&'a str>, String> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its `{name}` is no text")),
    }
}

/// One word of somebody who has not agreed yet, and it counts.
fn is_suppressed(result: &Value) -> Result<bool, String> {
    let suppressions = match result.get("suppressions") {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Array(suppressions)) => suppressions,
        Some(_) => return Err("its `suppressions` are no list".to_owned()),
    };
    let mut is_suppressed = !suppressions.is_empty();
    for suppression in suppressions {
        is_suppressed &= text(suppression, "status")?.is_none_or(|status| status == "accepted");
    }
    Ok(is_suppressed)
}

fn rating(result: &Value, rule: Option<&Value>) -> Result<ToolRating, String> {
    const SCORE: &str = "/properties/security-severity";
    let score = result.pointer(SCORE).or_else(|| rule?.pointer(SCORE));
    if let Some(score) = score.filter(|score| !score.is_null()) {
        let known = match score {
            Value::String(text) => text.trim().parse::<f64>().ok(),
            other => other.as_f64(),
        };
        let Some(known) = known.filter(|score| (0.0..=10.0).contains(score)) else {
            return Err(format!(
                "its `security-severity` is `{}`, which is no number from 0 to 10",
                plain(&score.to_string())
            ));
        };
        // GitHub takes none for no severity.
        let level = match known > 0.0 {
            true => SeverityLevel::of_score(known),
            false => SeverityLevel::Unknown,
        };
        return Ok(ToolRating { level, word: format!("{level}, {known:.1}") });
    }
    let of_rule = rule.and_then(|rule| rule.get("defaultConfiguration"));
    let of_rule = of_rule.map(|it| text(it, "level")).transpose()?.flatten();
    let word = text(result, "level")?.or(of_rule).unwrap_or("warning");
    let level = match word {
        // There is no worse word, so it may be as bad as can be.
        "error" => SeverityLevel::Critical,
        "warning" => SeverityLevel::Medium,
        "note" => SeverityLevel::Low,
        "none" => SeverityLevel::Unknown,
        other => return Err(format!("its `level` is `{}`, which is none", plain(other))),
    };
    Ok(ToolRating { level, word: word.to_owned() })
}

/// What a rule of accepted risks may call it: its rule, and the flaws that the rule is about.
fn ids(name: &str, result: &Value, rule: Option<&Value>) -> BTreeSet<String> {
    let lists = [
        (rule, "/deprecatedIds", false),
        (rule, "/properties/aliases", false),
        (rule, "/properties/tags", true),
        (Some(result), "/properties/aliases", false),
        (Some(result), "/properties/tags", true),
    ];
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for (of, pointer, only_flaws) in lists {
        let list = of.and_then(|of| of.pointer(pointer)).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        // A tag such as `security` is about much more than one flaw.
        let named = texts.filter(|text| !only_flaws || flaw(text) == Some(text));
        ids.extend(named.filter(|text| !text.is_empty()).map(str::to_owned));
    }
    // grype writes `CVE-2026-1-openssl`.
    ids.extend(flaw(name).map(str::to_owned));
    ids.extend(Some(name).filter(|name| !name.is_empty()).map(str::to_owned));
    ids
}

/// The id of a flaw at the beginning of a text: `CVE-2026-12345` of `CVE-2026-12345-openssl`.
fn flaw(text: &str) -> Option<&str> {
    let (of, parts): (fn(&str) -> bool, usize) = match text.split('-').next()? {
        "CVE" | "GO" | "RUSTSEC" | "PYSEC" | "MAL" | "OSV" => {
            (|part| part.bytes().all(|it| it.is_ascii_digit()), 3)
        }
        "GHSA" => (|part| part.len() == 4 && part.bytes().all(|it| it.is_ascii_alphanumeric()), 4),
        _ => return None,
    };
    let ends: Vec<usize> = text.match_indices('-').map(|(at, _)| at).chain([text.len()]).collect();
    let id = text.get(..*ends.get(parts - 1)?)?;
    id.split('-').skip(1).all(|part| !part.is_empty() && of(part)).then_some(id)
}

fn place(result: &Value, run: &Value) -> Option<String> {
    let location = result.get("locations")?.get(0)?;
    let physical = location.get("physicalLocation");
    let artifact = physical.and_then(|physical| physical.get("artifactLocation"));
    let listed = || {
        let index = usize::try_from(artifact?.get("index")?.as_u64()?).ok()?;
        run.get("artifacts")?.get(index)?.pointer("/location/uri")?.as_str()
    };
    let uri = artifact.and_then(|artifact| artifact.get("uri")?.as_str()).or_else(listed);
    let line = physical.and_then(|physical| physical.pointer("/region/startLine")?.as_u64());
    if let Some(uri) = uri.filter(|uri| !uri.is_empty()) {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        return Some(format!("{uri}{line}"));
    }
    let logical = location.pointer("/logicalLocations/0")?;
    let name = logical.get("fullyQualifiedName").or_else(|| logical.get("name"))?.as_str()?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

impl ToolResult {
    pub(super) fn worst_first(&self) -> impl Ord + use<> {
        (self.standing != ResultStanding::Found, Reverse(self.rating.level))
    }
}

/// Without what makes GitHub refuse the whole file: places, steps and tags beyond its limits.
pub(super) fn limited(run: &mut Value) {
    for result in run.get_mut("results").and_then(Value::as_array_mut).into_iter().flatten() {
        for list in ["locations", "relatedLocations"] {
            if let Some(Value::Array(places)) = result.get_mut(list) {
                places.truncate(MOST_LOCATIONS);
            }
        }
        let flows = result.get("codeFlows").and_then(Value::as_array).into_iter().flatten();
        let threads = flows.filter_map(|flow| flow.get("threadFlows")?.as_array()).flatten();
        let steps = threads.filter_map(|thread| Some(thread.get("locations")?.as_array()?.len()));
        if steps.sum::<usize>() > MOST_STEPS
            && let Some(result) = result.as_object_mut()
        {
            result.remove("codeFlows");
        }
    }
    let Some(tool) = run.get_mut("tool").and_then(Value::as_object_mut) else { return };
    for component in tool.values_mut() {
        let parts = match component {
            Value::Array(parts) => parts.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        let rules = parts.iter_mut().filter_map(|it| it.get_mut("rules")?.as_array_mut()).flatten();
        for rule in rules {
            if let Some(Value::Array(tags)) = rule.pointer_mut("/properties/tags") {
                tags.truncate(MOST_TAGS);
            }
        }
    }
}
