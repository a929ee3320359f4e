//! Lock files of C, C++ and Swift: Conan's, Swift's and CocoaPods'. It lists no range, no branch and
//! nothing that lies in a directory of the project itself.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Locked, items, members, word};
use crate::sbom::matchers::conan::ConanReference;
use crate::sbom::package::Ecosystem;

/// Since Conan 2 lists of references; before, a graph in which the project itself has a path.
pub(super) fn conan_lock(lock: &Value) -> Vec<Locked> {
    let listed = |key: &str, is_dev: bool| {
        let references = items(lock.get(key)).filter_map(Value::as_str);
        references.filter_map(|it| conan(it, is_dev)).collect::<Vec<_>>()
    };
    let nodes = members(lock.pointer("/graph_lock/nodes")).map(|(_, node)| node);
    let others = nodes.filter(|node| node.get("path").is_none_or(Value::is_null));
    let graph = others.filter_map(|node| {
        let reference = word(node, "ref").or_else(|| word(node, "pref"))?;
        conan(reference, word(node, "context") == Some("build"))
    });
    let tools = ["build_requires", "python_requires", "config_requires"];
    let tools = tools.iter().flat_map(|key| listed(key, true));
    listed("requires", false).into_iter().chain(tools).chain(graph).collect()
}

/// `[requires]` and the lists of tools, one reference a line.
pub(super) fn conanfile(text: &str) -> Vec<Locked> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines() {
        // A revision follows `#` at once, a remark after a blank.
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let is_dev = match section {
            "[requires]" => false,
            "[tool_requires]" | "[build_requires]" | "[test_requires]" => true,
            _ => continue,
        };
        found.extend(Some(line).filter(|it| !it.starts_with('#')).and_then(|it| conan(it, is_dev)));
    }
    found
}

fn conan(text: &str, is_dev: bool) -> Option<Locked> {
    let reference = ConanReference::read(text)?;
    let locked = Locked::new(Ecosystem::Conan, reference.name, reference.version);
    Some(Locked { qualifiers: reference.qualifiers(), ..locked.for_development(is_dev) })
}

/// The first form has the pins in an object, and other words for the address.
pub(super) fn swift(lock: &Value) -> Vec<Locked> {
    let pins = items(lock.get("pins")).chain(items(lock.pointer("/object/pins")));
    pins.filter_map(|pin| {
        let address = word(pin, "location").or_else(|| word(pin, "repositoryURL"))?;
        let version = pin.pointer("/state/version")?.as_str()?;
        Some(Locked::new(Ecosystem::Swift, &repository(address)?, version))
    })
    .collect()
}

/// `host/owner/name` of `https://user@host:443/owner/name.git` and of `git@host:owner/name.git`; a
/// path on somebody's machine has no host.
fn repository(address: &str) -> Option<String> {
    let scheme = address.split_once("://");
    let bare = scheme.map_or(address, |(_, rest)| rest);
    let (host, path) = match scheme {
        Some(_) => bare.split_once('/')?,
        None => bare.split_once([':', '/'])?,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split(':').next()?;
    let path = path.trim_matches('/').trim_end_matches(".git");
    let is_host = host.contains('.') && !host.starts_with('.');
    (is_host && !path.is_empty()).then(|| format!("{}/{path}", host.to_ascii_lowercase()))
}

/// `  - Name/Part (1.0):` below `PODS:`; parts of a pod are that pod. What `EXTERNAL SOURCES:` says
/// to be in a directory is the project's own.
pub(super) fn pods(text: &str) -> Vec<Locked> {
    let mut section = "";
    let mut listed = BTreeSet::new();
    let mut external = "";
    let mut own = BTreeSet::new();
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let trimmed = line.trim().trim_end_matches(':').trim_matches('"');
        match (section, depth) {
            (_, 0) if !trimmed.is_empty() => section = trimmed,
            ("PODS", 2) => listed.extend(line.trim().strip_prefix("- ").and_then(pod)),
            ("EXTERNAL SOURCES", 2) => external = trimmed,
            ("EXTERNAL SOURCES", 4) if trimmed.starts_with(":path: ") => _ = own.insert(external),
            _ => {}
        }
    }
    let others = listed.into_iter().filter(|(name, _)| !own.contains(name));
    others.map(|(name, version)| Locked::new(Ecosystem::Cocoapods, name, version)).collect()
}

fn pod(entry: &str) -> Option<(&str, &str)> {
    let entry = entry.trim_end_matches(':').trim_matches('"');
    let (name, version) = entry.strip_suffix(')')?.rsplit_once(" (")?;
    let name = name.split('/').next()?;
    // As the type's definition says of names.
    (!name.contains('+') && !name.starts_with('.')).then_some((name, version))
}
