//! What was found in all images of a run → what the rules say of it, as sentences: why nothing is
//! tagged, and what is told alone. Pure; a secret of several platforms is one.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::PlatformSearch;
use crate::secrets::leak::{Leak, LeakPlace};
use crate::secrets::verdict::{SecretsTerms, SecretsVerdict, Waiver, judge_leaks};
use crate::secrets::weakness::{Gravity, Weakness};
use crate::text::plural;
use crate::text::seen::visible;

/// What refuses an image, and what may stay.
#[derive(Debug, Clone, Default)]
pub struct SearchRules {
    pub terms: SecretsTerms,
    /// The least that refuses, of what is set in an unwise way.
    pub misconfig: Option<Gravity>,
    pub waivers: Vec<Waiver>,
}

/// Something that several platforms have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfPlatforms<T> {
    pub found: T,
    pub platforms: BTreeSet<String>,
}

/// What the rules say. Numbers are places in its own lists.
#[derive(Debug)]
pub struct SearchVerdict {
    pub leaks: Vec<OfPlatforms<Leak>>,
    pub secrets: SecretsVerdict,
    pub weaknesses: Vec<OfPlatforms<Weakness>>,
    /// Weaknesses for which nothing is tagged.
    pub refused: Vec<usize>,
    /// Those that may stay, and the rule by which.
    pub accepted: Vec<(usize, usize)>,
    /// Rules that have expired, or that nothing is like.
    pub expired: BTreeSet<usize>,
    pub unused: BTreeSet<usize>,
}

/// Why nothing is tagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRefusal {
    /// `1 secret in the image's own layers, 1 in its config`.
    pub sentence: String,
    pub lines: Vec<String>,
    pub names_secrets: bool,
}

pub fn judge(searched: &[&PlatformSearch], rules: &SearchRules, today: Date) -> SearchVerdict {
    let leaks = merged(searched, |it| &it.leaks);
    let weaknesses = merged(searched, |it| &it.weaknesses);
    let plain: Vec<Leak> = leaks.iter().map(|it| it.found.clone()).collect();
    let secrets = judge_leaks(&plain, rules.terms, &rules.waivers, today);
    let mut verdict = SearchVerdict {
        leaks,
        expired: secrets.expired.iter().copied().collect(),
        unused: secrets.unused.iter().copied().collect(),
        secrets,
        weaknesses,
        refused: Vec::new(),
        accepted: Vec::new(),
    };
    for (at, OfPlatforms { found, .. }) in verdict.weaknesses.iter().enumerate() {
        let mut by = None;
        let own = rules.waivers.iter().enumerate().filter(|(_, waiver)| waiver.id == found.rule);
        for (number, waiver) in own {
            verdict.unused.remove(&number);
            match waiver.holds(today) {
                true => by = by.or(Some(number)),
                false => drop(verdict.expired.insert(number)),
            }
        }
        match by {
            Some(number) => verdict.accepted.push((at, number)),
            None if rules.misconfig.is_some_and(|least| found.gravity >= least) => {
                verdict.refused.push(at);
            }
            None => {}
        }
    }
    verdict
}

fn merged<T: Clone + PartialEq>(
    searched: &[&PlatformSearch],
    of: impl Fn(&PlatformSearch) -> &Vec<T>,
) -> Vec<OfPlatforms<T>> {
    let mut merged: Vec<OfPlatforms<T>> = Vec::new();
    for platform in searched {
        let known = merged.len();
        for found in of(platform) {
            // What one platform has twice is there twice.
            let same = merged
                .iter_mut()
                .take(known)
                .find(|it| it.found == *found && !it.platforms.contains(&platform.platform));
            match same {
                Some(same) => drop(same.platforms.insert(platform.platform.clone())),
                None => merged.push(OfPlatforms {
                    found: found.clone(),
                    platforms: BTreeSet::from([platform.platform.clone()]),
                }),
            }
        }
    }
    merged
}

impl SearchVerdict {
    /// `None` where every image passes.
    pub fn refusal(&self) -> Option<SearchRefusal> {
        let leak = |at: &usize| self.leaks.get(*at);
        let secrets: Vec<Vec<&OfPlatforms<Leak>>> = self
            .secrets
            .reasons
            .iter()
            .map(|reason| reason.leaks.iter().filter_map(leak).collect())
            .filter(|places: &Vec<_>| !places.is_empty())
            .collect();
        let weak: Vec<&OfPlatforms<Weakness>> =
            self.refused.iter().filter_map(|at| self.weaknesses.get(*at)).collect();
        if secrets.is_empty() && weak.is_empty() {
            return None;
        }
        let in_file = |it: &&OfPlatforms<Leak>| matches!(it.found.place, LeakPlace::File { .. });
        let in_layers = secrets.iter().filter(|places| places.iter().any(in_file)).count();
        let in_config = secrets.len() - in_layers;
        let mut parts = Vec::new();
        if in_layers > 0 {
            parts.push(format!("{} in the image's own layers", plural(in_layers, "secret")));
        }
        match (in_layers, in_config) {
            (_, 0) => {}
            (0, count) => parts.push(format!("{} in the image's config", plural(count, "secret"))),
            (_, count) => parts.push(format!("{count} in its config")),
        }
        if !weak.is_empty() {
            parts.push(plural(weak.len(), "misconfiguration"));
        }
        let is_several = self.is_of_several();
        let lines = secrets.iter().filter_map(|places| secret_line(places, is_several));
        let lines = lines.chain(weak.iter().map(|weak| weak_line(weak, is_several)));
        Some(SearchRefusal {
            sentence: parts.join(", "),
            lines: lines.collect(),
            names_secrets: !secrets.is_empty(),
        })
    }

    /// Secrets that are told and refuse nothing, one line each.
    pub fn told(&self) -> Vec<String> {
        let refusing: BTreeSet<usize> =
            self.secrets.reasons.iter().flat_map(|reason| reason.leaks.iter().copied()).collect();
        let is_several = self.is_of_several();
        let lines = self.leaks.iter().enumerate().filter(|(at, _)| !refusing.contains(at));
        lines
            .map(|(at, leak)| {
                let accepted = self.secrets.accepted.iter().any(|(leak, _)| *leak == at);
                let why = match &leak.found.excuse {
                    _ if accepted => "accepted".to_owned(),
                    Some(excuse) => excuse.to_string(),
                    None => "its format does not prove it".to_owned(),
                };
                format!("{}: {why}", place_line(leak, is_several))
            })
            .collect()
    }

    /// What is set in an unwise way, a line each, the worst first.
    pub fn weakness_lines(&self) -> Vec<String> {
        let is_several = self.is_of_several();
        let mut sorted: Vec<&OfPlatforms<Weakness>> = self.weaknesses.iter().collect();
        sorted.sort_by_key(|it| (std::cmp::Reverse(it.found.gravity), it.found.place.clone()));
        sorted.into_iter().map(|weak| weak_line(weak, is_several)).collect()
    }

    fn is_of_several(&self) -> bool {
        let leaks = self.leaks.iter().flat_map(|it| &it.platforms);
        let all: BTreeSet<&String> =
            leaks.chain(self.weaknesses.iter().flat_map(|it| &it.platforms)).collect();
        all.len() > 1
    }

    /// What people should know of the rules: those that have expired, and those that accept nothing.
    pub fn remarks(&self, rules: &SearchRules) -> Vec<String> {
        let of = |numbers: &BTreeSet<usize>| -> Vec<Waiver> {
            numbers.iter().filter_map(|at| rules.waivers.get(*at)).cloned().collect()
        };
        let shown = |waiver: &Waiver| (visible(&waiver.id), visible(&waiver.place));
        let expired = of(&self.expired).into_iter().map(|waiver| {
            let (id, place) = shown(&waiver);
            format!("`{id}` ({place}) accepts nothing: it has expired")
        });
        let unused = of(&self.unused).into_iter().map(|waiver| {
            let (id, place) = shown(&waiver);
            format!("`{id}` ({place}) accepts nothing: no finding matches it")
        });
        expired.chain(unused).collect()
    }
}

/// `GitHub token ghp_… (40 bytes) in app/deploy.sh:1 (github-token, layer sha256:…): sha256:…`.
fn place_line(leak: &OfPlatforms<Leak>, is_several: bool) -> String {
    let Leak { rule, place, shown, layer, .. } = &leak.found;
    let mut about = vec![rule.id.to_owned()];
    about.extend(layer.as_ref().map(|layer| format!("layer {}", visible(layer))));
    about.extend(platforms(&leak.platforms, is_several));
    format!("{} {} in {place} ({})", rule.what, visible(shown), about.join(", "))
}

fn secret_line(places: &[&OfPlatforms<Leak>], is_several: bool) -> Option<String> {
    let first = places.first()?;
    let more = match places.len() {
        1 => String::new(),
        several => format!(" and in {}", plural(several - 1, "other place")),
    };
    Some(format!("{}{more}: {}", place_line(first, is_several), first.found.fingerprint))
}

fn weak_line(weak: &OfPlatforms<Weakness>, is_several: bool) -> String {
    let Weakness { rule, gravity, message, hint, place } = &weak.found;
    let of = platforms(&weak.platforms, is_several).map(|of| format!(", {of}"));
    format!(
        "{} ({}{}) in {place}: {}. {}",
        visible(rule),
        gravity.severity(),
        of.unwrap_or_default(),
        visible(message),
        visible(hint)
    )
}

fn platforms(platforms: &BTreeSet<String>, is_several: bool) -> Option<String> {
    let named: Vec<&str> =
        platforms.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    (is_several && !named.is_empty()).then(|| named.join(" and "))
}

/// What was looked at, for people: it never says that there is nothing.
pub fn sentence(searched: &[PlatformSearch]) -> String {
    let most = |of: fn(&PlatformSearch) -> usize| searched.iter().map(of).max().unwrap_or_default();
    let (own, base, passed) = (most(|it| it.own), most(|it| it.of_base), most(|it| it.passed));
    let mut parts = vec![format!("{} and the config searched", plural(own, "own layer"))];
    if base > 0 {
        parts.push(format!("{} of the base image too", plural(base, "layer")));
    }
    if passed > 0 {
        parts.push(format!("{} of the base image not read", plural(passed, "layer")));
    }
    let unread: BTreeSet<&String> = searched.iter().flat_map(|it| &it.unread).collect();
    if !unread.is_empty() {
        parts.push(format!("{} could not be read", plural(unread.len(), "layer")));
    }
    parts.join(", ")
}

/// What could not be read, and what is not known, each once.
pub fn gaps(searched: &[&PlatformSearch]) -> Vec<String> {
    let mut gaps: Vec<String> = Vec::new();
    let mut say = |text: String| {
        if !gaps.contains(&text) {
            gaps.push(text);
        }
    };
    for platform in searched {
        for why in &platform.unread {
            say(format!("not searched for secrets: {}", visible(why)));
        }
        if let Some(why) = &platform.unchecked {
            say(format!("not all of BuildKit's checks of the Dockerfile ran: {}", visible(why)));
        }
        if let Some(why) = &platform.base.unknown {
            say(format!("every layer counts as the image's own: {}", visible(why)));
        }
    }
    let left_out = searched.iter().map(|it| it.left_out).max().unwrap_or_default();
    if left_out > 0 {
        say(format!("{left_out} more secrets are not listed: their files hold too many"));
    }
    gaps
}
