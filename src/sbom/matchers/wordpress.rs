//! WordPress, its plugins and its themes, from the headers that WordPress itself reads. It runs no
//! PHP, and names a plugin by its directory, as the plugin directory does.

use super::{FileFacts, MalformedDatabase, ends_with_path, has_suffix, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, Supplier};

/// WordPress looks no further for a header.
const HEADER: usize = 8 << 10;
/// Directories that have `plugins` and `themes` in them, by default and as Bedrock lays them out.
const CONTENTS: [&str; 3] = ["wp-content", "app", "content"];
/// The file in which the program itself has its version.
const CORE: &str = "wp-includes/version.php";

/// What a file is to WordPress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WordPressKind {
    Core,
    /// A file that may be a plugin's main one.
    Plugin,
    /// What a plugin tells the plugin directory.
    Readme,
    Theme,
}

pub(super) fn is_header(path: &str) -> bool {
    kind(path).is_some()
}

/// Whether it says less than a plugin's own file does.
pub fn is_readme(path: &str) -> bool {
    kind(path).is_some_and(|(kind, _)| kind == WordPressKind::Readme)
}

/// Kind and name, by the place.
fn kind(path: &str) -> Option<(WordPressKind, &str)> {
    // Said at once for nearly all.
    if ![".php", ".txt", ".css"].iter().any(|it| has_suffix(path, it)) {
        return None;
    }
    if ends_with_path(path, CORE) {
        return Some((WordPressKind::Core, "wordpress"));
    }
    let (directory, file) = path.rsplit_once('/')?;
    let is_of = |directory: &str, names: &[&str]| {
        let (above, last) = directory.rsplit_once('/').unwrap_or(("", directory));
        names.contains(&last) && CONTENTS.iter().any(|it| ends_with_path(above, it))
    };
    let plugins = ["plugins", "mu-plugins"];
    let php = has_suffix(file, ".php").then(|| file.len() - ".php".len());
    let (above, slug) = directory.rsplit_once('/').unwrap_or(("", directory));
    match php {
        // One file can be a plugin by itself.
        Some(at) if is_of(directory, &plugins) && file != "index.php" => {
            Some((WordPressKind::Plugin, file.get(..at)?))
        }
        Some(_) if is_of(above, &plugins) => Some((WordPressKind::Plugin, slug)),
        None if is_of(above, &plugins) && file.eq_ignore_ascii_case("readme.txt") => {
            Some((WordPressKind::Readme, slug))
        }
        None if is_of(above, &["themes"]) && file == "style.css" => {
            Some((WordPressKind::Theme, slug))
        }
        _ => None,
    }
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let Some((kind, name)) = kind(path) else { return Ok(FileFacts::default()) };
    let start = bytes.get(..bytes.len().min(HEADER)).unwrap_or_default();
    let text = String::from_utf8_lossy(start);
    let package = match kind {
        WordPressKind::Core => core(&text),
        WordPressKind::Plugin => of_header(&text, "Plugin Name", name),
        WordPressKind::Theme => of_header(&text, "Theme Name", name).map(|theme| Package {
            // A plugin may have the same name.
            qualifiers: vec![("kind", "theme".to_owned())],
            ..theme
        }),
        WordPressKind::Readme => {
            header(&text, "Stable tag").filter(|tag| is_version(tag)).map(|tag| Package {
                version: Some(tag.to_owned()),
                licence: header(&text, "License").map_or(Licence::Unknown, licence),
                ..Package::named(Ecosystem::Wordpress, name)
            })
        }
    };
    let scope = match kind {
        WordPressKind::Core => parent(path),
        _ => path.rsplit_once('/').map_or("", |(directory, _)| directory),
    };
    let packages = package.map(|package| FoundPackage::alone(package, scope)).into_iter().collect();
    Ok(FileFacts { packages, ..FileFacts::default() })
}

fn of_header(text: &str, title: &str, name: &str) -> Option<Package> {
    let called = header(text, title)?;
    let version = header(text, "Version").filter(|version| is_version(version))?;
    Some(Package {
        version: Some(version.to_owned()),
        supplier: header(text, "Author")
            .filter(|it| !it.contains('<'))
            .and_then(Supplier::from_maintainer),
        licence: header(text, "License").map_or(Licence::Unknown, licence),
        notes: vec![format!("Its header calls it {called}.")],
        ..Package::named(Ecosystem::Wordpress, name)
    })
}

/// `$wp_version = '6.4.2';`
fn core(text: &str) -> Option<Package> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("$wp_version"))?;
    let value = line.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    let version = value.get(1..)?.split(quote).next().filter(|version| is_version(version))?;
    Some(Package {
        version: Some(version.to_owned()),
        ..Package::named(Ecosystem::Generic, "wordpress")
    })
}

/// A line may begin as comments do; the name matches whatever its case.
fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(['\n', '\r']).find_map(|line| {
        let line = line.strip_prefix("<?php").unwrap_or(line);
        let line = line.trim_start_matches([' ', '\t', '/', '*', '#', '@', '\u{feff}']);
        let (stated, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(':').filter(|_| stated.eq_ignore_ascii_case(name))?;
        let end = ["*/", "?>"].iter().filter_map(|end| value.find(end)).min();
        Some(value.get(..end.unwrap_or(value.len()))?.trim()).filter(|value| !value.is_empty())
    })
}

fn is_version(text: &str) -> bool {
    text.len() <= 80
        && text.contains(|letter: char| letter.is_ascii_digit())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-+_".contains(letter))
}

/// WordPress asks for a licence in words; these are those of its own handbook.
fn licence(text: &str) -> Licence {
    let plain = text.to_ascii_lowercase().replace([' ', '-', '.', ','], "");
    let expression = match plain.as_str() {
        "gplv2" | "gpl2" | "gpl20" | "gplv20" => "GPL-2.0-only",
        "gplv2orlater" | "gpl2+" | "gplv2+" | "gpl2orlater" | "gplv20orlater" | "gpl20orlater"
        | "gpl20+" => "GPL-2.0-or-later",
        "gplv3" | "gpl3" | "gplv30" | "gpl30" => "GPL-3.0-only",
        "gplv3orlater" | "gpl3+" | "gplv3+" | "gpl3orlater" | "gplv30orlater" | "gpl30orlater"
        | "gpl30+" => "GPL-3.0-or-later",
        _ => return Licence::from_field(text),
    };
    Licence::Expression(expression.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn purl(path: &str, text: &str) -> Option<String> {
        let found = read(path, text.as_bytes()).unwrap().packages.pop();
        found.map(|found| crate::sbom::purl::of(&found.package, None))
    }

    #[test]
    fn headers_become_packages() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            assert_eq!(purl(path, text).as_deref(), expected, "{path} {text}");
        };
        let akismet = "var/www/html/wp-content/plugins/akismet/akismet.php";
        let header = "<?php\n/*\nPlugin Name: Akismet Anti-spam\nVersion: 5.3\nLicense: GPLv2 or later\n*/\n";
        check(akismet, header, Some("pkg:wordpress/akismet@5.3"));
        check(akismet, &header.replace('\n', "\r\n"), Some("pkg:wordpress/akismet@5.3"));
        check(akismet, "<?php /** * plugin name: A\n * no version */", None);
        check(
            akismet,
            "<?php\n/**\n * plugin name: A\n * VERSION: 1.0-beta2 */",
            Some("pkg:wordpress/akismet@1.0-beta2"),
        );
        check(
            akismet,
            "<?php // Plugin Name: A\n// Version: 1 ?>",
            Some("pkg:wordpress/akismet@1"),
        );
        check(akismet, "<?php\n/* Requires Version: 5 */", None);
        check(akismet, "<?php\n/*\nPlugin Name: A\nVersion: {{version}}\n*/", None);
        let late = format!("<?php\n{}\nPlugin Name: A\nVersion: 1\n", " ".repeat(9000));
        check(akismet, &late, None);
        check("srv/wp-content/plugins/hello.php", header, Some("pkg:wordpress/hello@5.3"));
        check("srv/web/app/mu-plugins/x/y.php", header, Some("pkg:wordpress/x@5.3"));
        check(
            "wp-content/plugins/a/readme.txt",
            "=== A ===\nStable tag: 2.1\n",
            Some("pkg:wordpress/a@2.1"),
        );
        check("wp-content/plugins/a/readme.txt", "=== A ===\nStable tag: trunk\n", None);
        check(
            "wp-content/themes/t/style.css",
            "/*\nTheme Name: T\nVersion: 1.2\n*/",
            Some("pkg:wordpress/t@1.2?kind=theme"),
        );
        check(
            "srv/wp-includes/version.php",
            "<?php\n$wp_version = '6.4.2';\n",
            Some("pkg:generic/wordpress@6.4.2"),
        );
        check("srv/wp-includes/version.php", "<?php\n$wp_version = X;\n", None);
    }

    #[test]
    fn headers_are_looked_for_where_wordpress_does() {
        let check = |path: &str, expected: bool| assert_eq!(is_header(path), expected, "{path}");
        check("wp-content/plugins/a/a.PHP", true);
        check("wp-content/plugins/index.php", false);
        check("wp-content/plugins/a/includes/b.php", false);
        check("lib/plugins/a/a.php", false);
        check("wp-content/themes/a/style.css", true);
        check("wp-content/themes/a/functions.php", false);
        assert!(is_readme("wp-content/plugins/a/README.txt"));
        assert!(!is_readme("wp-content/plugins/a/a.php"));
    }

    #[test]
    fn licences_and_authors_are_told() {
        let path = "wp-content/plugins/a/a.php";
        let text =
            "Plugin Name: A\nVersion: 1\nAuthor: Automattic - Anti-spam Team\nLicense: GPL-2.0+\n";
        let package = read(path, text.as_bytes()).unwrap().packages.remove(0).package;
        assert_eq!(package.licence, Licence::Expression("GPL-2.0-or-later".into()));
        assert!(package.supplier.is_some());
        assert_eq!(package.notes, ["Its header calls it A."]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(Plugin Name:|Version:|é|\\*/|[a-z0-9. \n]){0,30}") {
            drop(read("wp-content/plugins/a/a.php", text.as_bytes()));
            drop(read("wp-includes/version.php", format!("$wp_version{text}").as_bytes()));
        }
    }
}
