//! Licences as packages state them, made SPDX expressions where that is certain. It never guesses
//! from a licence's text.

/// What a package database says about a licence.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Licence {
    /// A valid SPDX expression in canonical spelling.
    Expression(String),
    /// Words that are not an SPDX expression.
    Named(String),
    #[default]
    Unknown,
}

impl Licence {
    /// For fields that should hold an SPDX expression.
    pub fn from_field(text: &str) -> Self {
        let text = text.trim();
        match (text.is_empty(), expression(text)) {
            (true, _) => Self::Unknown,
            (false, Some(expression)) => Self::Expression(expression),
            (false, None) => Self::Named(text.to_owned()),
        }
    }
}

/// The text as an SPDX expression if it is one; references to licences it does not contain are
/// refused.
fn expression(text: &str) -> Option<String> {
    // Nobody needs a longer one.
    const LONGEST: usize = 4 << 10;
    if text.len() > LONGEST {
        return None;
    }
    let parsed = spdx::Expression::parse(text).ok()?;
    let known = parsed.requirements().all(|needed| needed.req.license.id().is_some());
    known.then(|| parsed.to_string())
}

/// Short names of Debian's copyright format that mean exactly one SPDX licence, in lower case.
const DEBIAN: [(&str, &str); 31] = [
    ("agpl-3", "AGPL-3.0-only"),
    ("apache-1.1", "Apache-1.1"),
    ("apache-2", "Apache-2.0"),
    ("apache-2.0", "Apache-2.0"),
    ("artistic-2", "Artistic-2.0"),
    ("artistic-2.0", "Artistic-2.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsl-1.0", "BSL-1.0"),
    ("cc-by-3.0", "CC-BY-3.0"),
    ("cc-by-4.0", "CC-BY-4.0"),
    ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
    ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
    ("cc0", "CC0-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("expat", "MIT"),
    ("gfdl-niv-1.2+", "GFDL-1.2-no-invariants-or-later"),
    ("gfdl-niv-1.3+", "GFDL-1.3-no-invariants-or-later"),
    ("isc", "ISC"),
    ("lppl-1.3c", "LPPL-1.3c"),
    ("mpl-1.1", "MPL-1.1"),
    ("mpl-2", "MPL-2.0"),
    ("mpl-2.0", "MPL-2.0"),
    ("ofl-1.1", "OFL-1.1"),
    ("openssl", "OpenSSL"),
    ("unlicense", "Unlicense"),
    ("wtfpl-2", "WTFPL"),
    ("zlib", "Zlib"),
    ("zpl-2.0", "ZPL-2.0"),
    ("zpl-2.1", "ZPL-2.1"),
];

/// One `License:` synopsis of Debian's copyright format 1.0 as an SPDX expression, or nothing if
/// any part is uncertain.
pub fn from_debian_synopsis(synopsis: &str) -> Option<String> {
    let mut parts = synopsis.split(',').map(str::trim);
    let mut whole = debian_alternatives(parts.next()?)?;
    for part in parts {
        let (operator, rest) = part.split_once(' ')?;
        let operator = debian_operator(operator)?;
        whole = format!("({whole}) {operator} ({})", debian_alternatives(rest)?);
    }
    expression(&whole)
}

fn debian_operator(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "and" => Some("AND"),
        "or" => Some("OR"),
        _ => None,
    }
}

/// `A and B or C`; in Debian's format as in SPDX, `and` binds tighter.
fn debian_alternatives(text: &str) -> Option<String> {
    let mut written = Vec::new();
    let mut name: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        match debian_operator(word) {
            Some(operator) => {
                written.push(debian_name(&name)?);
                written.push(operator.to_owned());
                name.clear();
            }
            None => name.push(word),
        }
    }
    written.push(debian_name(&name)?);
    Some(written.join(" "))
}

fn debian_name(words: &[&str]) -> Option<String> {
    match words {
        [name] => debian_identifier(name),
        [name, "with", exception, "exception"] => {
            let exception = match exception.to_ascii_lowercase().as_str() {
                "classpath" => "Classpath-exception-2.0",
                "font" => "Font-exception-2.0",
                "libtool" => "Libtool-exception",
                _ => return None,
            };
            Some(format!("{} WITH {exception}", debian_identifier(name)?))
        }
        _ => None,
    }
}

fn debian_identifier(name: &str) -> Option<String> {
    // The format's own text calls `MIT` ambiguous; the others have many versions under one name in
    // SPDX too.
    const AMBIGUOUS: [&str; 5] = ["MIT", "X11", "TCL", "W3C", "Python-2.0"];
    let lower = name.to_ascii_lowercase();
    if let Some((_, identifier)) = DEBIAN.iter().find(|(short, _)| *short == lower) {
        return Some((*identifier).to_owned());
    }
    if let Some(identifier) = debian_gnu(&lower) {
        return Some(identifier);
    }
    let listed = spdx::license_id(name)
        .filter(|identifier| !identifier.is_deprecated() && !AMBIGUOUS.contains(&identifier.name));
    listed.map(|identifier| identifier.name.to_owned())
}

/// `GPL-2`, `LGPL-2.1+`, `GFDL-1.3`: a version, then `+` for any later one.
fn debian_gnu(lower: &str) -> Option<String> {
    const FAMILIES: [(&str, &str, &[&str]); 4] = [
        ("gpl-", "GPL", &["1.0", "2.0", "3.0"]),
        ("lgpl-", "LGPL", &["2.0", "2.1", "3.0"]),
        ("agpl-", "AGPL", &["3.0"]),
        ("gfdl-", "GFDL", &["1.1", "1.2", "1.3"]),
    ];
    FAMILIES.iter().find_map(|(prefix, family, versions)| {
        let version = lower.strip_prefix(prefix)?;
        let (version, reach) =
            version.strip_suffix('+').map_or((version, "only"), |version| (version, "or-later"));
        let version =
            if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
        versions.contains(&version.as_str()).then(|| format!("{family}-{version}-{reach}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_expressions_or_names() {
        let check = |field: &str, expected: Licence| {
            assert_eq!(Licence::from_field(field), expected, "{field}")
        };
        check("MIT", Licence::Expression("MIT".into()));
        check("GPL-2.0-only AND MIT", Licence::Expression("GPL-2.0-only AND MIT".into()));
        check(
            "GPL-2.0-or-later WITH Autoconf-exception-2.0",
            Licence::Expression("GPL-2.0-or-later WITH Autoconf-exception-2.0".into()),
        );
        check("MIT BSD GPL2+", Licence::Named("MIT BSD GPL2+".into()));
        check("custom", Licence::Named("custom".into()));
        check("LicenseRef-somewhere", Licence::Named("LicenseRef-somewhere".into()));
        check(" ", Licence::Unknown);
        let nested = format!("{}MIT{}", "(".repeat(8000), ")".repeat(8000));
        check(&nested, Licence::Named(nested.clone()));
    }

    #[test]
    fn debian_names_are_mapped_only_when_certain() {
        let check = |synopsis: &str, expected: Option<&str>| {
            assert_eq!(from_debian_synopsis(synopsis).as_deref(), expected, "{synopsis}");
        };
        check("GPL-2+", Some("GPL-2.0-or-later"));
        check("gpl-3", Some("GPL-3.0-only"));
        check("LGPL-2.1+ and GPL-2", Some("LGPL-2.1-or-later AND GPL-2.0-only"));
        check(
            "GPL-2+ or Artistic-2.0, and Expat",
            Some("(GPL-2.0-or-later OR Artistic-2.0) AND (MIT)"),
        );
        check("GPL-2+ with Libtool exception", Some("GPL-2.0-or-later WITH Libtool-exception"));
        check("GPL-2+ with OpenSSL exception", None);
        check("BSD-3-clause", Some("BSD-3-Clause"));
        check("public-domain", None);
        check("MIT", None);
        check("GPL-9", None);
        check("GPL", None);
        check("and", None);
        check("", None);
    }
}
