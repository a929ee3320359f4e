//! Bake files at hand and what buildx made of them → what a target that nobody inherits would have
//! said. Pure; HCL is searched for one name and not understood.
//!
//! Reference: <https://github.com/docker/metadata-action#bake-definition>.

use serde_json::{Map, Value};

use super::bake::Definition;

/// What docker/metadata-action and this action call the target that others inherit.
const USUAL: &str = "docker-metadata-action";
/// How the arguments begin that both give it, whatever it is called.
const ARGUMENT: &str = "DOCKER_META_";
/// What such a target says.
const SAID: [&str; 4] = ["tags", "labels", "annotations", "args"];

/// Names of the files and their texts.
pub fn lost(definition: &Definition, files: &[(String, String)]) -> Vec<String> {
    let asked: Vec<&Map<String, Value>> = definition.asked().map(|(_, target)| target).collect();
    let is_asked = |name: &str| definition.targets().iter().any(|asked| asked == name);
    let mut notices = Vec::new();
    let mut seen = false;
    for (file, text) in files {
        let Ok(parsed) = serde_json::from_str::<Value>(text) else { continue };
        for (name, target) in
            parsed["target"].as_object().into_iter().flatten().filter(|(name, _)| !is_asked(name))
        {
            seen |= name == USUAL;
            let lost: Vec<&str> =
                SAID.into_iter().filter(|key| is_lost(&target[*key], key, &asked)).collect();
            // Of another, that it is not built may be meant.
            let is_meant = name == USUAL
                || target["args"]
                    .as_object()
                    .is_some_and(|args| args.keys().any(|key| key.starts_with(ARGUMENT)));
            if is_meant && !lost.is_empty() {
                let lost: Vec<String> = lost.iter().map(|key| format!("`{key}`")).collect();
                notices.push(told(name, file, &format!("its {} have no effect", lost.join(", "))));
            }
        }
    }
    let quoted = format!("\"{USUAL}\"");
    let defining = files.iter().find(|(_, text)| text.contains(&format!("target {quoted}")));
    let others = || {
        files
            .iter()
            .map(|(_, text)| {
                text.matches(&quoted).count() - text.matches(&format!("target {quoted}")).count()
            })
            .sum::<usize>()
    };
    if let Some((file, _)) = defining.filter(|_| !seen && !is_asked(USUAL) && others() == 0) {
        notices.push(told(USUAL, file, "it has no effect"));
    }
    notices
}

fn told(name: &str, file: &str, lost: &str) -> String {
    format!(
        "bake files: no target that is built inherits `{name}` (`{file}`), so {lost}; write `inherits = [\"{name}\"]` into the target that it is for"
    )
}

/// Whether a target says something here of which nothing is found in those that are built.
fn is_lost(said: &Value, key: &str, built: &[&Map<String, Value>]) -> bool {
    match said {
        Value::Array(items) if !items.is_empty() => !built.iter().any(|target| {
            target
                .get(key)
                .and_then(Value::as_array)
                .is_some_and(|its| items.iter().any(|item| its.contains(item)))
        }),
        Value::Object(fields) if !fields.is_empty() => !built.iter().any(|target| {
            target
                .get(key)
                .and_then(Value::as_object)
                .is_some_and(|its| fields.iter().any(|(name, value)| its.get(name) == Some(value)))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(app: Value) -> Definition {
        Definition::read(
            &json!({ "group": { "default": { "targets": ["app"] } }, "target": { "app": app } })
                .to_string(),
        )
        .unwrap()
    }

    fn file(name: &str, text: impl ToString) -> (String, String) {
        (name.to_owned(), text.to_string())
    }

    #[test]
    fn names_that_no_target_inherits_are_told() {
        let meta = json!({ "target": { "docker-metadata-action": { "tags": ["r.io/a:v1"], "labels": { "a": "b" }, "args": { "V": "1" } } } });
        let files = [file("meta.json", &meta)];
        let told = lost(&definition(json!({ "tags": ["r.io/a:latest"] })), &files);
        assert!(
            told.len() == 1
                && told[0].contains(
                    "no target that is built inherits `docker-metadata-action` (`meta.json`)"
                ),
            "{told:?}"
        );
        assert!(told[0].contains("its `tags`, `labels`, `args` have no effect"), "{told:?}");
        // Its own `tags` take the place of those that are inherited.
        let told = lost(
            &definition(
                json!({ "tags": ["r.io/a:latest"], "labels": { "a": "b" }, "args": { "V": "1" } }),
            ),
            &files,
        );
        assert!(told.len() == 1 && told[0].contains("its `tags` have no effect"), "{told:?}");
        let inherited = json!({ "tags": ["r.io/a:v1"], "labels": { "a": "b", "c": "d" }, "args": { "V": "1" } });
        assert_eq!(lost(&definition(inherited), &files), Vec::<String>::new());
        let mut other = json!({ "target": { "tools": { "tags": ["r.io/tools:1"] }, "_common": { "args": { "A": "1" } } } });
        assert_eq!(
            lost(&definition(json!({})), &[file("docker-bake.json", &other)]),
            Vec::<String>::new()
        );
        other["target"]["meta"] =
            json!({ "tags": ["r.io/a:1"], "args": { "DOCKER_META_IMAGES": "r.io/a" } });
        assert_eq!(lost(&definition(json!({})), &[file("docker-bake.json", &other)]).len(), 1);
    }

    #[test]
    fn hcl_that_names_the_target_only_where_it_is_defined_is_told() {
        let hcl =
            "target \"docker-metadata-action\" {}\ntarget \"app\" {\n  tags = [\"r.io/a:1\"]\n}\n";
        let app = || definition(json!({ "tags": ["r.io/a:1"] }));
        assert_eq!(lost(&app(), &[file("docker-bake.hcl", hcl)]).len(), 1);
        let inherits = hcl.replace("  tags", "  inherits = [\"docker-metadata-action\"]\n  tags");
        assert_eq!(lost(&app(), &[file("docker-bake.hcl", inherits)]), Vec::<String>::new());
        assert_eq!(
            lost(&app(), &[file("docker-bake.hcl", "target \"app\" {}")]),
            Vec::<String>::new()
        );
    }
}
