//! Erlang and Elixir applications, from the resource file that each has in `ebin`. It evaluates
//! nothing: only plain terms are understood.

use std::io;

use super::zip::{bytes, members};
use super::{FileFacts, MalformedDatabase, has_suffix, parent};
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed};
use crate::sbom::source::FileContents;

pub(super) fn is_resource(path: &str) -> bool {
    let directory = parent(path).trim_end_matches('/');
    path.ends_with(".app") && (directory == "ebin" || directory.ends_with("/ebin"))
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = without_comments(&String::from_utf8_lossy(bytes));
    let Some(name) = after(&text, "application").and_then(atom) else {
        return Ok(FileFacts::warning(format!(
            "`{path}` is not listed: it is not an application resource"
        )));
    };
    let stated = after(&text, "vsn").and_then(string).map(str::to_owned);
    let Some(version) = stated.filter(|it| is_version(it)).or_else(|| of_directory(path, &name))
    else {
        return Ok(FileFacts::warning(format!("`{path}` is not listed: it states no version")));
    };
    let package =
        Package { version: Some(version), ..Package::named(Ecosystem::Otp, name.as_str()) };
    let needs = after(&text, "applications").and_then(list).unwrap_or_default();
    let needs = needs.split(',').filter_map(atom).map(|name| vec![PackageNeed::named(name)]);
    // Applications of one release lie beside each other.
    let scope = parent(parent(parent(path).trim_end_matches('/')).trim_end_matches('/'));
    Ok(FileFacts {
        packages: vec![FoundPackage {
            requires: needs.take(1000).collect(),
            ..FoundPackage::alone(package, scope)
        }],
        ..FileFacts::default()
    })
}

/// `x-1.0.ez`, in which RabbitMQ keeps its plugins.
pub(super) fn is_archive(path: &str) -> bool {
    has_suffix(path, ".ez")
}

pub(super) fn read_archive(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    const MOST_MEMBERS: usize = 1000;
    const LARGEST: u64 = 4 << 20;
    // Other programs have files of such names.
    let Ok(found) = members(contents, MOST_MEMBERS, &is_resource)? else {
        return Ok(FileFacts::default());
    };
    let mut facts = FileFacts::default();
    for member in found {
        let name = format!("{path}!/{}", member.name);
        match bytes(contents, &member, LARGEST)? {
            Ok(bytes) => facts.add(read(&name, &bytes).unwrap_or_default()),
            Err(problem) => facts.warn(format!("`{name}` is not listed: {}", problem.as_str())),
        }
    }
    Ok(facts)
}

/// `2.10.0` of `cowboy-2.10.0/ebin/cowboy.app`.
fn of_directory(path: &str, name: &str) -> Option<String> {
    let directory = parent(parent(path).trim_end_matches('/')).trim_end_matches('/');
    let version = directory.rsplit('/').next()?.strip_prefix(name)?.strip_prefix('-')?;
    is_version(version).then(|| version.to_owned())
}

fn is_version(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-+_~".contains(letter))
}

/// A percent sign starts a comment, but not inside a text.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut quoted, mut escaped, mut comment) = (None, false, false);
    for letter in text.chars() {
        match (letter, quoted) {
            ('\n', _) => comment = false,
            _ if comment => continue,
            _ if escaped => escaped = false,
            ('\\', Some(_)) => escaped = true,
            ('"' | '\'', None) => quoted = Some(letter),
            (letter, Some(quote)) if letter == quote => quoted = None,
            ('%', None) => {
                comment = true;
                continue;
            }
            _ => {}
        }
        plain.push(letter);
    }
    plain
}

/// What follows after `{key,`.
fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.match_indices(key).find_map(|(at, _)| {
        let is_first = text.get(..at)?.trim_end().ends_with('{');
        let rest = text.get(at + key.len()..)?.trim_start().strip_prefix(',')?;
        is_first.then(|| rest.trim_start())
    })
}

/// `name` or `'any name'`.
fn atom(text: &str) -> Option<String> {
    let text = text.trim();
    let name = match text.strip_prefix('\'') {
        Some(quoted) => quoted.get(..quoted.find('\'')?)?,
        None => {
            let is_end =
                |letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '@');
            text.get(..text.find(is_end).unwrap_or(text.len()))?
        }
    };
    (!name.is_empty() && !name.contains(char::is_whitespace)).then(|| name.to_owned())
}

/// A text, or the binary that Elixir may write: `"1.0"`, `<<"1.0">>`.
fn string(text: &str) -> Option<&str> {
    let text = text.strip_prefix("<<").unwrap_or(text).trim_start().strip_prefix('"')?;
    text.get(..text.find('"')?)
}

fn list(text: &str) -> Option<&str> {
    let text = text.strip_prefix('[')?;
    text.get(..text.find(']')?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn purl(path: &str, text: &str) -> Option<String> {
        let facts = read(path, text.as_bytes()).unwrap();
        assert_eq!(facts.packages.len() + facts.warnings.len(), 1, "{text}");
        facts.packages.first().map(|found| crate::sbom::purl::of(&found.package, None))
    }

    #[test]
    fn resources_become_packages() {
        let check = |text: &str, expected: Option<&str>| {
            let path = "app/lib/cowboy-2.10.0/ebin/cowboy.app";
            assert!(is_resource(path));
            assert_eq!(purl(path, text).as_deref(), expected, "{text}");
        };
        let cowboy = Some("pkg:otp/cowboy@2.10.0");
        check("{application, cowboy, [{description,\"x\"},{vsn,\"2.10.0\"}]}.", cowboy);
        check(
            "%% {application, x, [{vsn,\"1\"}]}\n{ application , 'cowboy',\n [\n {vsn , \"2.10.0\"} ]}.\n",
            cowboy,
        );
        check(
            "{application,cowboy,[{description,\"100% {vsn,\\\"9\\\"}\"},{vsn,\"2.10.0\"}]}.",
            cowboy,
        );
        check("{application,cowboy,[{vsn,git}]}.", cowboy);
        check(
            "{application,'Elixir.Cowboy',[{vsn,<<\"1.0.0-rc.1\">>}]}.",
            Some("pkg:otp/elixir.cowboy@1.0.0-rc.1"),
        );
        check("{application,other,[{vsn,git}]}.", None);
        check("{other, cowboy, []}.", None);
        check("", None);
        assert!(!is_resource("app/src/cowboy.app.src") && !is_resource("Applications/x.app"));
    }

    #[test]
    fn plugins_in_archives_are_told() {
        let file = crate::sbom::matchers::zip::tests::archive(&[
            ("a-1.2/ebin/a.app", b"{application,a,[{vsn,\"1.2\"}]}."),
            ("a-1.2/priv/b.app", b"x"),
        ]);
        assert!(is_archive("plugins/a-1.2.ez"));
        let facts = read_archive("plugins/a-1.2.ez", &mut io::Cursor::new(file)).unwrap();
        assert_eq!((facts.packages.len(), facts.packages[0].package.name.as_str()), (1, "a"));
        let other = read_archive("x.ez", &mut io::Cursor::new(b"x".to_vec())).unwrap();
        assert_eq!(other, FileFacts::default());
    }

    #[test]
    fn applications_need_each_other() {
        let text = b"{application,a,[{vsn,\"1\"},{applications,[kernel, 'b']}]}.";
        let facts = read("lib/a-1/ebin/a.app", text).unwrap();
        let found = &facts.packages[0];
        assert_eq!((found.scope.as_str(), found.requires.len()), ("lib/", 2));
        assert_eq!(found.requires[1], [PackageNeed::named("b")]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\{application,|\\{vsn,|%|\"|'|\\\\|[a-zé\n{},\\[\\]<]){0,40}") {
            drop(read("a/ebin/a.app", text.as_bytes()));
        }
    }
}
