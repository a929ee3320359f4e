//! The environment variables of this process as one value. It never writes one.

use std::collections::BTreeMap;

/// The process environment, captured once at the edge; stages and tests get it as a value.
pub type Environment = BTreeMap<String, String>;

/// The environment of this process without variables that are not UTF-8.
pub fn captured() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
