//! `INPUT_*` → the text of each input that an action has, or the default of its row. It parses no
//! value, and shows none.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use super::InputProblems;
use super::table::{self, Action, Input, InputGroup};
use crate::environment::Environment;

/// The inputs by their names; those that are neither set nor have a default are missing.
#[derive(Clone)]
pub(super) struct InputTexts(BTreeMap<String, String>);

/// Variables that stand in for an input that is not set: what `sandbox.env` exports, since a shell
/// cannot set names with dashes.
const STANDING_IN: [(&str, &str); 4] = [
    ("SUPPLY_ACTION_SIGNING_CONFIG", "INPUT_SIGNING-CONFIG"),
    ("SUPPLY_ACTION_TRUSTED_ROOT", "INPUT_TRUSTED-ROOT"),
    ("SUPPLY_ACTION_BUILDER", "INPUT_BUILDER-ENDPOINT"),
    ("SUPPLY_ACTION_OSV_URL", "INPUT_OSV-URL"),
];

impl InputTexts {
    pub(super) fn of(action: Action, env: &Environment) -> anyhow::Result<Self> {
        // The runner passes an input that is not set as "".
        let is_separator = |name: &str| name.starts_with("INPUT_SEP");
        let is_set = |name: &str, value: &str| {
            !value.trim().is_empty() || (is_separator(name) && !value.is_empty())
        };
        let set: Vec<(&String, &String)> =
            env.iter().filter(|(name, value)| is_set(name, value)).collect();
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let standing_in = |name: &str| {
            STANDING_IN
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, input)| (*input).to_owned())
        };
        // Later ones win: variables that stand in, then underscores for dashes (a shell can write
        // no dashes), then the exact names.
        given.extend(
            set.iter().filter_map(|(name, value)| Some((standing_in(name)?, (*value).clone()))),
        );
        given.extend(set.iter().filter_map(|(name, value)| {
            Some((
                format!("INPUT_{}", name.strip_prefix("INPUT_")?.replace('_', "-")),
                (*value).clone(),
            ))
        }));
        given.extend(
            set.iter()
                .filter(|(name, _)| name.starts_with("INPUT_"))
                .map(|(name, value)| ((*name).clone(), (*value).clone())),
        );
        // Only strings, so that no error of envy's can carry a value.
        let mut texts: BTreeMap<String, String> = envy::prefixed("INPUT_").from_iter(given)?;
        // What is an input of another action counts for nothing, and is told.
        texts.retain(|name, _| action.has(name));
        for input in action.inputs() {
            let default = input.default(action).filter(|text| !text.contains("${{"));
            if let Some(default) = default {
                texts.entry(input.name.to_owned()).or_insert_with(|| default.to_owned());
            }
        }
        Ok(Self(texts))
    }

    /// Of an action without inputs.
    pub(super) fn none() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(table::input(name).is_some(), "`{name}` has no row in src/inputs/table");
        self.0.get(name).map(String::as_str)
    }

    /// The same with the text of an input that another one stands for.
    pub(super) fn with(&self, name: &str, text: Option<String>) -> Self {
        let mut texts = self.clone();
        texts.0.extend(text.map(|text| (name.to_owned(), text)));
        texts
    }

    /// The inputs of a group that are not as their rows have them. A runner passes defaults as if
    /// they were set.
    pub(super) fn set_of(&self, group: InputGroup) -> Vec<&'static str> {
        let of_group = table::inputs().filter(|input| input.group == group);
        let is_set = |input: &&Input| {
            let text = self.0.get(input.name).map(|text| text.trim());
            text.is_some() && text != input.default
        };
        of_group.filter(is_set).map(|input| input.name).collect()
    }

    /// Empty where there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(|path| PathBuf::from(path.trim()))
    }

    /// `false` where the action does not have it.
    pub(super) fn switch(&self, name: &str, problems: &mut InputProblems) -> bool {
        problems.switch(name, self.get(name), false)
    }
}
