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
        // Others' word for not knowing.
        if text.is_empty() || text.eq_ignore_ascii_case("noassertion") {
            return Self::Unknown;
        }
        expression(text).map_or_else(|| Self::Named(text.to_owned()), Self::Expression)
    }
}

/// Identifiers that only the newest lists have: readers of SPDX 2.3, such as its own validator,
/// refuse a whole document for one of them. Those with `invariants` are on no list.
const UNREAD: [&str; 58] = [
    "ALGLIB-Documentation",
    "Advanced-Cryptics-Dictionary",
    "BOLA-1.1",
    "BSD-2-Clause-pos-unchanged",
    "BSD-3-Clause-OpenWebUI",
    "BSD-3-Clause-Tso",
    "BSD-Mark-Modifications",
    "BSD-Source-Code-no-disclaimer",
    "BSD-Source-alt-GPL",
    "BSD-ask-to-endorse",
    "Brian-Gladman-3-Clause-no-conversion",
    "Buddy",
    "Bugroff",
    "CAPEC-tou",
    "CC-BY-NC-3.0-IGO",
    "Classpath-exception-2.0-short",
    "ESA-PL-permissive-2.4",
    "ESA-PL-strong-copyleft-2.4",
    "ESA-PL-weak-copyleft-2.4",
    "FDK-MPEG-H",
    "GFDL-1.1-invariants",
    "GFDL-1.1-no-invariants",
    "GFDL-1.2-invariants",
    "GFDL-1.2-no-invariants",
    "GFDL-1.3-invariants",
    "GFDL-1.3-no-invariants",
    "GPL-2.0-with-bison-exception",
    "Google-Patent-WebM",
    "HPND-SMC",
    "HPND-sell-variant-critical-systems",
    "Hippocratic-3.0-core",
    "ISO-permission",
    "Informatica",
    "MIT-STK",
    "MMPL-1.0.1",
    "MVT-1.1",
    "NIST-PD-TNT",
    "NOASSERTION",
    "OSC-1.0",
    "OSSP",
    "OpenMDW-1.0",
    "ParaType-Free-Font-1.3",
    "SGMLUG-PM",
    "Simple-Library-Usage-exception",
    "Spelling-Provider-LGPL-exception",
    "TekHVC",
    "UnRAR",
    "Vixie-Cron",
    "WTFNMFPL",
    "WordNet",
    "X11-no-permit-persons",
    "atc-game",
    "hyphen-bulgarian",
    "kvirc-openssl-exception",
    "rsync-linking-exception",
    "sqlitestudio-OpenSSL-exception",
    "NONE",
    "AdditionRef",
];

/// Identifiers of the list that stand for two: <https://spdx.org/licenses/#deprecated>.
const JOINED: [(&str, &str); 7] = [
    ("GPL-2.0-with-autoconf-exception", "GPL-2.0-only WITH Autoconf-exception-2.0"),
    ("GPL-2.0-with-bison-exception", "GPL-2.0-only WITH Bison-exception-2.2"),
    ("GPL-2.0-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ("GPL-2.0-with-font-exception", "GPL-2.0-only WITH Font-exception-2.0"),
    ("GPL-2.0-with-GCC-exception", "GPL-2.0-only WITH GCC-exception-2.0"),
    ("GPL-3.0-with-autoconf-exception", "GPL-3.0-only WITH Autoconf-exception-3.0"),
    ("GPL-3.0-with-GCC-exception", "GPL-3.0-only WITH GCC-exception-3.1"),
];

/// The text as an SPDX 2.3 expression if it is one: operators in upper case, identifiers as the
/// list spells them, deprecated ones of GNU's licences as those that took their place. References
/// to licences it does not contain are refused.
fn expression(text: &str) -> Option<String> {
    // Nobody needs a longer one.
    const LONGEST: usize = 4 << 10;
    if text.len() > LONGEST {
        return None;
    }
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut words: Vec<String> = Vec::new();
    for word in spaced.split_whitespace() {
        let operator = ["AND", "OR", "WITH"].iter().find(|it| it.eq_ignore_ascii_case(word));
        words.push(match (word, operator) {
            ("(" | ")", _) => word.to_owned(),
            (_, Some(operator)) => (*operator).to_owned(),
            _ if words.last().is_some_and(|last| last == "WITH") => exception(word)?,
            _ => identifier(word)?,
        });
    }
    let written = words.join(" ").replace("( ", "(").replace(" )", ")");
    // Those that were deprecated are on the list.
    let mode = spdx::ParseMode { allow_deprecated: true, ..spdx::ParseMode::STRICT };
    let parsed = spdx::Expression::parse_mode(&written, mode).ok()?;
    let known = parsed.requirements().all(|needed| needed.req.license.id().is_some());
    known.then(|| parsed.to_string())
}

fn exception(word: &str) -> Option<String> {
    let mut listed = spdx::identifiers::EXCEPTIONS.iter().map(|listed| listed.name);
    let name = listed.find(|name| name.eq_ignore_ascii_case(word))?;
    (!UNREAD.contains(&name)).then(|| name.to_owned())
}

/// One licence as the list spells it: identifiers match whatever their case. `+` is part of GNU's
/// names; elsewhere SPDX's grammar allows it, and its validator refuses the document.
fn identifier(word: &str) -> Option<String> {
    const GNU: [&str; 4] = ["AGPL-", "GFDL-", "GPL-", "LGPL-"];
    if let Some((_, both)) = JOINED.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        return Some((*both).to_owned());
    }
    let (bare, is_later) = word.strip_suffix('+').map_or((word, false), |bare| (bare, true));
    let mut listed = spdx::identifiers::LICENSES.iter().map(|listed| listed.name);
    let name = listed
        .find(|name| name.eq_ignore_ascii_case(bare))
        .filter(|name| !UNREAD.contains(name))?;
    let version = GNU.iter().find_map(|family| name.strip_prefix(family)).unwrap_or_default();
    let is_bare =
        !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match (is_bare, is_later) {
        (true, false) => Some(format!("{name}-only")),
        (true, true) => Some(format!("{name}-or-later")),
        (false, false) => Some(name.to_owned()),
        (false, true) => None,
    }
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
        // Identifiers and operators match whatever their case.
        let is = |field: &str, expected: &str| check(field, Licence::Expression(expected.into()));
        is("mit", "MIT");
        is("apache-2.0 or mit", "Apache-2.0 OR MIT");
        is("(mit And isc)", "(MIT AND ISC)");
        is("Apache-2.0 with llvm-exception", "Apache-2.0 WITH LLVM-exception");
        is("GPL-2.0", "GPL-2.0-only");
        is("gpl-3.0+", "GPL-3.0-or-later");
        is("LGPL-2.1 OR AGPL-3.0", "LGPL-2.1-only OR AGPL-3.0-only");
        is("GFDL-1.3+", "GFDL-1.3-or-later");
        is("GPL-2.0-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0");
        is("BSD-2-Clause-FreeBSD", "BSD-2-Clause-FreeBSD");
        is("bzip2-1.0.5", "bzip2-1.0.5");
        is("MIT OR MIT", "MIT OR MIT");
        // What the validator refuses, or the grammar.
        let named = |field: &str| check(field, Licence::Named(field.into()));
        named("Apache-2.0+");
        named("MIT OR Artistic-1.0+");
        named("GPL-2.0-only+");
        named("NOASSERTION OR MIT");
        named("MIT WITH AdditionRef-x");
        named("Vixie-Cron");
        named("NONE");
        named("UNLICENSED");
        named("MIT OR");
        named("MIT ISC");
        check("NOASSERTION", Licence::Unknown);
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
