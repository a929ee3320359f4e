//! Whether a Python requirement counts, by its marker and the place where its package lies. What the
//! place does not tell stays unknown, and an unknown one counts for nothing.
//!
//! See <https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers>.

/// No real marker has brackets so deep.
const DEEPEST: usize = 20;
/// No real marker is longer.
const LONGEST: usize = 2_000;

/// `3` and `11` of `…/lib/python3.11/site-packages/`: CPython's own directory on a Unix.
fn python(place: &str) -> Option<(u32, u32)> {
    let (_, rest) = place.rsplit_once("lib/python")?;
    let (version, rest) = rest.split_once('/')?;
    let is_site = ["site-packages", "dist-packages"].iter().any(|site| rest.starts_with(site));
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?)).filter(|_| is_site)
}

/// `None` where the place does not tell.
pub(super) fn holds(marker: &str, place: &str) -> Option<bool> {
    let mut reader = Reader { rest: marker.trim(), python: python(place)? };
    if marker.len() > LONGEST {
        return None;
    }
    let holds = reader.any(0)?;
    reader.rest.trim().is_empty().then_some(holds).flatten()
}

/// Reads from the front. The outer `None` is a marker that cannot be read, the inner an unknown one.
struct Reader<'a> {
    rest: &'a str,
    python: (u32, u32),
}

/// A name, or text in quotes.
enum MarkerValue<'a> {
    Name(&'a str),
    Text(&'a str),
}

impl<'a> Reader<'a> {
    fn any(&mut self, depth: usize) -> Option<Option<bool>> {
        let mut holds = self.all(depth)?;
        while self.takes_word("or") {
            holds = match (holds, self.all(depth)?) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), other) | (other, Some(false)) => other,
                (None, None) => None,
            };
        }
        Some(holds)
    }

    fn all(&mut self, depth: usize) -> Option<Option<bool>> {
        let mut holds = self.one(depth)?;
        while self.takes_word("and") {
            holds = match (holds, self.one(depth)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), other) | (other, Some(true)) => other,
                (None, None) => None,
            };
        }
        Some(holds)
    }

    fn one(&mut self, depth: usize) -> Option<Option<bool>> {
        if self.takes("(") {
            let inside = (depth < DEEPEST).then(|| self.any(depth + 1))??;
            return self.takes(")").then_some(inside);
        }
        let left = self.value()?;
        let operators = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];
        let operator = operators.into_iter().find(|operator| self.takes(operator));
        let operator = match operator {
            Some(operator) => operator,
            None if self.takes_word("in") => "in",
            None => {
                let is_not_in = self.takes_word("not") && self.takes_word("in");
                is_not_in.then_some("not in")?
            }
        };
        let right = self.value()?;
        Some(match (left, right) {
            (MarkerValue::Name(name), MarkerValue::Text(text)) => {
                self.compare(name, operator, text)
            }
            // The other way round: rare, so it is not known.
            _ => None,
        })
    }

    fn compare(&self, name: &str, operator: &str, text: &str) -> Option<bool> {
        if name == "python_version" {
            return compare_versions(self.python, operator, text);
        }
        let known = match name {
            "os_name" => "posix",
            "sys_platform" => "linux",
            "platform_system" => "Linux",
            "implementation_name" => "cpython",
            "platform_python_implementation" => "CPython",
            _ => return None,
        };
        match operator {
            "==" => Some(known == text),
            "!=" => Some(known != text),
            "in" => Some(text.contains(known)),
            "not in" => Some(!text.contains(known)),
            _ => None,
        }
    }

    fn value(&mut self) -> Option<MarkerValue<'a>> {
        let rest = self.rest.trim_start();
        let quote = rest.chars().next()?;
        if ['"', '\''].contains(&quote) {
            let (text, behind) = rest.get(1..)?.split_once(quote)?;
            self.rest = behind;
            return Some(MarkerValue::Text(text));
        }
        let is_other = |it: char| !it.is_ascii_alphanumeric() && !"._".contains(it);
        let end = rest.find(is_other).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        self.rest = behind;
        (!name.is_empty()).then_some(MarkerValue::Name(name))
    }

    fn takes(&mut self, sign: &str) -> bool {
        let behind = self.rest.trim_start().strip_prefix(sign);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let behind = self.rest.trim_start().strip_prefix(word);
        let is_whole = |it: &&str| it.starts_with([' ', '\t', '(', '"', '\'']);
        let behind = behind.filter(is_whole);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }
}

/// Versions of two numbers, as `python_version` has; another spelling is not known.
fn compare_versions(python: (u32, u32), operator: &str, text: &str) -> Option<bool> {
    let mut numbers = text.trim().split('.').map(str::parse::<u32>);
    let major = numbers.next()?.ok()?;
    let minor = numbers.next().unwrap_or(Ok(0)).ok()?;
    if numbers.next().is_some() {
        return None;
    }
    let other = (major, minor);
    match operator {
        "==" | "===" => Some(python == other),
        "!=" => Some(python != other),
        "<" => Some(python < other),
        "<=" => Some(python <= other),
        ">" => Some(python > other),
        ">=" => Some(python >= other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SITE: &str = "usr/local/lib/python3.11/site-packages/";

    #[test]
    fn markers_are_judged_as_far_as_the_place_tells() {
        let check = |marker: &str, expected: Option<bool>| {
            assert_eq!(holds(marker, SITE), expected, "{marker}");
        };
        check("python_version < \"3.8\"", Some(false));
        check("python_version >= '3.10'", Some(true));
        check("python_version>='3.9' and python_version<'4'", Some(true));
        check("python_version == '3.11'", Some(true));
        check("python_version == '3.*'", None);
        check("python_version in '3.10 3.11'", None);
        check("python_full_version < '3.11.3'", None);
        check("sys_platform == 'win32'", Some(false));
        check(
            "sys_platform != \"win32\" and (python_version < '3' or os_name == 'posix')",
            Some(true),
        );
        check("platform_system in 'Linux Darwin'", Some(true));
        check("platform_system not in 'Linux Darwin'", Some(false));
        check("platform_python_implementation == 'PyPy'", Some(false));
        check("extra == 'socks'", None);
        check("extra == 'socks' and sys_platform == 'win32'", Some(false));
        check("extra == 'socks' or sys_platform == 'linux'", Some(true));
        check("platform_machine == 'x86_64'", None);
        check("'3.8' <= python_version", None);
        check(&format!("{}sys_platform == 'linux'{}", "(".repeat(19), ")".repeat(19)), Some(true));
    }

    #[test]
    fn what_is_no_marker_is_unknown() {
        let deep = format!("{}a", "(".repeat(100_000));
        for marker in [
            "",
            "python_version",
            "python_version >=",
            "sys_platform == 'linux",
            "sys_platform == 'linux' x",
            "(sys_platform == 'linux'",
            &deep,
        ] {
            assert_eq!(holds(marker, SITE), None);
        }
    }

    #[test]
    fn places_tell_a_version_or_nothing() {
        assert_eq!(python(SITE), Some((3, 11)));
        assert_eq!(python("opt/venv/lib/python3.9/site-packages/x/"), Some((3, 9)));
        for place in [
            "usr/lib/python3/dist-packages/",
            "opt/lib/pypy3.10/site-packages/",
            "lib/python3.9/",
            "Lib/site-packages/",
            "",
        ] {
            assert_eq!(python(place), None, "{place}");
            assert_eq!(holds("sys_platform == 'linux'", place), None, "{place}");
        }
    }

    proptest! {
        #[test]
        fn no_marker_makes_it_panic(marker in "(python_version|sys_platform|and|or|not|in|[()<>=!~'\"é ]{0,3}|3\\.1){0,20}") {
            let _holds = holds(&marker, SITE);
        }
    }
}
