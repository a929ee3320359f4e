//! PEAR and PECL packages, from the registry that the `pear` command keeps as serialised PHP. It
//! makes no objects: only texts and lists of them are understood.

use super::{FileFacts, MalformedDatabase, has_suffix, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package};

const REGISTRY: &str = ".registry";
const CHANNEL: &str = ".channel.";
/// Lists in lists; a registry has less than ten.
const DEEPEST: usize = 64;

pub(super) fn is_entry(path: &str) -> bool {
    has_suffix(path, ".reg") && channel_of(path).is_some()
}

/// The directory of a registry is that of PEAR's own channel; others have one below.
fn channel_of(path: &str) -> Option<&str> {
    let (directory, _) = path.rsplit_once('/')?;
    let (above, last) = directory.rsplit_once('/').unwrap_or(("", directory));
    match last.strip_prefix(CHANNEL) {
        _ if last == REGISTRY => Some("pear.php.net"),
        Some(channel) if above.rsplit('/').next() == Some(REGISTRY) => Some(channel),
        _ => None,
    }
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let untold = |why: &str| Ok(FileFacts::warning(format!("`{path}` is not listed: {why}")));
    let mut reader = PearReader { rest: bytes };
    let Some(record @ PearValue::List(_)) = reader.value(0) else {
        return untold("it is no serialised PHP");
    };
    // The first form of package.xml has the name under `package`, and the version by itself.
    let name = record.text(&["name"]).or_else(|| record.text(&["package"]));
    let version = record.text(&["version", "release"]).or_else(|| record.text(&["version"]));
    let (Some(name), Some(version)) = (name, version) else {
        return untold("it has no name or version");
    };
    if [&name, &version].iter().any(|it| it.contains(char::is_whitespace) || it.contains('/')) {
        return untold("its name or version contains blanks");
    }
    let channel = record.text(&["channel"]).or_else(|| channel_of(path).map(str::to_owned));
    let channel = channel.filter(|channel| !channel.contains(char::is_whitespace));
    let licence = ["license", "release_license"]
        .iter()
        .find_map(|key| record.text(&[*key]).or_else(|| record.text(&[*key, "_content"])));
    let package = Package {
        version: Some(version),
        licence: licence.map_or(Licence::Unknown, |text| Licence::from_field(&text)),
        ..Package::named(Ecosystem::Pear, format!("{}/{name}", channel.unwrap_or_default()))
    };
    Ok(FileFacts {
        packages: vec![FoundPackage::alone(package, parent(path))],
        ..FileFacts::default()
    })
}

/// What matters of a value.
enum PearValue {
    Text(String),
    List(Vec<(String, Self)>),
    Other,
}

impl PearValue {
    /// The text at the end of these keys.
    fn text(&self, keys: &[&str]) -> Option<String> {
        match (self, keys) {
            (Self::Text(text), []) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            (Self::List(pairs), [first, rest @ ..]) => {
                pairs.iter().find(|(key, _)| key == first)?.1.text(rest)
            }
            _ => None,
        }
    }
}

/// Each step takes bytes away, so that reading ends.
struct PearReader<'a> {
    rest: &'a [u8],
}

impl<'a> PearReader<'a> {
    fn value(&mut self, depth: usize) -> Option<PearValue> {
        let kind = *self.rest.first()?;
        match kind {
            b'N' => self.until(b';').map(|_| PearValue::Other),
            b'i' | b'd' | b'b' | b'r' | b'R' => {
                let number = self.until(b';')?.get(2..)?;
                Some(PearValue::Text(String::from_utf8_lossy(number).into_owned()))
            }
            b's' | b'S' => self.text().map(PearValue::Text),
            b'a' => {
                self.skip(2)?;
                self.list(depth)
            }
            b'O' => {
                // `O:4:"Name":1:{…}`; what it would be is nobody's business here.
                self.skip(2)?;
                self.quoted()?;
                self.skip(1)?;
                self.list(depth)
            }
            _ => None,
        }
    }

    /// `1:{key value}`.
    fn list(&mut self, depth: usize) -> Option<PearValue> {
        if depth == DEEPEST {
            return None;
        }
        let count: usize = std::str::from_utf8(self.until(b':')?).ok()?.parse().ok()?;
        (self.take(1)? == b"{").then_some(())?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            // Lists of files are long, and tell nothing here.
            if let PearValue::Text(key) = key {
                pairs.push((key, value));
            }
        }
        (self.take(1)? == b"}").then_some(PearValue::List(pairs))
    }

    fn text(&mut self) -> Option<String> {
        self.skip(2)?;
        let text = self.quoted()?;
        (self.take(1)? == b";").then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// `3:"abc"`, by its number of bytes.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let length: usize = std::str::from_utf8(self.until(b':')?).ok()?.parse().ok()?;
        (self.take(1)? == b"\"").then_some(())?;
        let text = self.take(length)?;
        (self.take(1)? == b"\"").then_some(text)
    }

    /// The bytes before the next `end`, which is taken too.
    fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = memchr::memchr(end, self.rest)?;
        let found = self.take(at)?;
        self.skip(1)?;
        Some(found)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn purl(path: &str, text: &[u8]) -> Option<String> {
        let facts = read(path, text).unwrap();
        assert_eq!(facts.packages.len() + facts.warnings.len(), 1);
        facts.packages.first().map(|found| crate::sbom::purl::of(&found.package, None))
    }

    const SECOND: &[u8] = b"a:4:{s:4:\"name\";s:5:\"redis\";s:7:\"channel\";s:12:\"pecl.php.net\";s:7:\"version\";a:2:{s:7:\"release\";s:5:\"6.0.2\";s:3:\"api\";s:5:\"6.0.0\";}\
        s:7:\"license\";a:2:{s:7:\"attribs\";a:1:{s:3:\"uri\";s:1:\"x\";}s:8:\"_content\";s:3:\"PHP\";}}";
    const FIRST: &[u8] = b"a:5:{s:7:\"package\";s:11:\"Archive_Tar\";s:7:\"version\";s:5:\"1.3.2\";s:15:\"release_license\";s:3:\"MIT\";s:5:\"count\";i:3;s:1:\"o\";O:1:\"X\":1:{s:1:\"a\";N;}}";

    #[test]
    fn both_forms_are_read() {
        let own = "usr/share/php/.registry/archive_tar.reg";
        let pecl = "usr/local/lib/php/.registry/.channel.pecl.php.net/redis.reg";
        assert_eq!(purl(pecl, SECOND).unwrap(), "pkg:pear/pecl.php.net/redis@6.0.2");
        assert_eq!(purl(own, FIRST).unwrap(), "pkg:pear/pear.php.net/Archive_Tar@1.3.2");
        assert_eq!(purl(pecl, FIRST).unwrap(), "pkg:pear/pecl.php.net/Archive_Tar@1.3.2");
        let licence = |text| read(own, text).unwrap().packages.remove(0).package.licence;
        assert_eq!(licence(SECOND), Licence::Named("PHP".into()));
        assert_eq!(licence(FIRST), Licence::Expression("MIT".into()));
    }

    #[test]
    fn entries_lie_in_registries() {
        let check = |path: &str, expected: bool| assert_eq!(is_entry(path), expected, "{path}");
        check("usr/share/php/.registry/archive_tar.reg", true);
        check("opt/pear/.registry/.channel.pear.x.example/a.reg", true);
        check("usr/share/php/.registry/.channel.__uri/A.REG", true);
        check("opt/.channel.x/a.reg", false);
        check("windows/a.reg", false);
        check(".registry/a.reg.bak", false);
    }

    #[test]
    fn what_is_no_entry_is_told() {
        let deep = "a:1:{i:0;".repeat(100_000);
        for text in [
            b"".as_slice(),
            b"a:0:{}",
            b"s:3:\"abc\";",
            b"a:99999999999:{",
            b"a:1:{s:9999:\"x\";}",
            deep.as_bytes(),
        ] {
            assert_eq!(purl("x/.registry/a.reg", text), None);
        }
        assert_eq!(purl(".registry/a.reg", &SECOND[..SECOND.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(changes in proptest::collection::vec((0_usize..200, any::<u8>()), 0..5)) {
            let mut bytes = SECOND.to_vec();
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            drop(read(".registry/a.reg", &bytes).unwrap());
        }
    }
}
