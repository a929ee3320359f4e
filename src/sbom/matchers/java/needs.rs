//! What the `pom.xml` in an archive says that its project needs when it runs. It resolves no property
//! but the project's own group, and knows nothing of what a parent project adds.

/// No real project names more.
const MOST: usize = 2_000;
/// No real project has elements so deep.
const DEEPEST: usize = 64;

/// One `<dependency>` as far as it was read.
#[derive(Default)]
struct PomDependency<'a> {
    group: &'a str,
    artifact: &'a str,
    scope: &'a str,
    optional: &'a str,
}

impl PomDependency<'_> {
    /// What is there for tests, for the compiler alone or by somebody's choice need not be there.
    fn name(&self, own: &str) -> Option<String> {
        let runs = ["", "compile", "runtime"].contains(&self.scope) && self.optional != "true";
        let is_own = ["${project.groupId}", "${pom.groupId}", "${groupId}"].contains(&self.group);
        let group = if is_own { own } else { self.group };
        let is_word = |text: &str| {
            let plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
            !text.is_empty() && text.len() <= 200 && text.chars().all(plain)
        };
        (runs && is_word(group) && is_word(self.artifact))
            .then(|| format!("{group}:{}", self.artifact))
    }
}

/// `group:artifact` of each; `own` is the group of the project itself.
pub(super) fn of_project(pom: &[u8], own: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(pom);
    let mut found = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut one = PomDependency::default();
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once('<') {
        if let ["project", "dependencies", "dependency", field] = open[..] {
            let place = match field {
                "groupId" => Some(&mut one.group),
                "artifactId" => Some(&mut one.artifact),
                "scope" => Some(&mut one.scope),
                "optional" => Some(&mut one.optional),
                _ => None,
            };
            if let Some(place) = place.filter(|place| place.is_empty()) {
                *place = before.trim();
            }
        }
        let end = if after.starts_with("!--") { "-->" } else { ">" };
        let Some((tag, behind)) = after.split_once(end) else { break };
        rest = behind;
        if tag.starts_with(['!', '?']) || tag.ends_with('/') {
            continue;
        }
        if tag.starts_with('/') {
            if open == ["project", "dependencies", "dependency"] && found.len() < MOST {
                found.extend(std::mem::take(&mut one).name(own));
            }
            open.pop();
        } else if open.len() < DEEPEST {
            open.push(tag.split_whitespace().next().unwrap_or_default());
        } else {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn needs_are_what_runs() {
        let of = |inside: &str| {
            let text =
                format!("<?xml version=\"1.0\"?><project x=\"y\"><!-- <a> -->{inside}</project>");
            of_project(text.as_bytes(), "org.own")
        };
        let one = |more: &str| {
            of(&format!(
                "<dependencies><dependency><groupId>g</groupId>\n<artifactId> a-b </artifactId>{more}</dependency></dependencies>"
            ))
        };
        for more in [
            "",
            "<scope>compile</scope>",
            "<scope>runtime</scope>",
            "<optional>false</optional><x/>",
        ] {
            assert_eq!(one(more), ["g:a-b"], "{more}");
        }
        for more in [
            "<scope>test</scope>",
            "<scope>provided</scope>",
            "<scope>${s}</scope>",
            "<optional>true</optional>",
        ] {
            assert_eq!(one(more), [""; 0], "{more}");
        }
        let excluded = "<exclusions><exclusion><groupId>x</groupId><artifactId>y</artifactId></exclusion></exclusions>";
        assert_eq!(one(excluded), ["g:a-b"]);
        let own = "<dependencies><dependency><groupId>${project.groupId}</groupId><artifactId>c</artifactId></dependency>\
            <dependency><groupId>${x}</groupId><artifactId>d</artifactId></dependency><dependency/></dependencies>";
        assert_eq!(of(own), ["org.own:c"]);
        let elsewhere = format!(
            "<dependencyManagement>{own}</dependencyManagement><build><plugins>{own}</plugins></build>"
        );
        assert_eq!(of(&elsewhere), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<project>|<dependencies>|<dependency>|<groupId>|</|<!--|-->|[a-zé<>/?! ]{0,4}){0,30}") {
            for name in of_project(text.as_bytes(), "g") {
                prop_assert!(name.contains(':'));
            }
        }
    }
}
